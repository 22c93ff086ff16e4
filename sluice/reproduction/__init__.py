"""Reproduction of a version: its record, and the comparison of what was made again."""
