"""Measured and estimated performance on real data: false alarms, power, and errors of estimates."""
