"""Experiments (A/B tests): planned, run on live traffic, analysed by unit, decided by a person."""
