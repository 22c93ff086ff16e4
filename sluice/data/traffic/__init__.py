"""Logged answers, their feedback and labels, and the rows that they become."""
