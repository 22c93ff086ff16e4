"""The flow of experiments."""
