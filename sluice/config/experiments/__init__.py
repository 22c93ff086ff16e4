"""Experiments: what is compared, by which metrics, with what error rates, for how long."""
