"""Flows that make a version again."""
