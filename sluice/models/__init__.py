"""The estimators that a service can train."""
