"""Measurements that a user can run."""
