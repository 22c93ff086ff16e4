"""Scorers: what one answer is worth by one criterion. A scorer is a function and an entry.

`catalogue` has the entries; the other files have the functions.
"""
