"""Rollouts: drawn, stored, live."""
