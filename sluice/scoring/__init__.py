"""Scoring of many rows at once: checked inputs, parts, and the rows of predictions."""
