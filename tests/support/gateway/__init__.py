"""Gateways, models and callers."""
