"""Rollouts for tests: random traffic, stored rollouts, live rollouts."""
