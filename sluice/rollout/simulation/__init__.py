"""Simulated rollouts on synthetic or recorded traffic: how often a policy decides wrongly."""
