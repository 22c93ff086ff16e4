"""Estimators: what a service can train, how it is fitted, and how it is exported."""
