"""Batches: which rows are new, which were refused, and what a person decided about them."""
