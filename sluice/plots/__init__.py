"""Figures that a person wants to see before trusting a model."""
