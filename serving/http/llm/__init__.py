"""Prompts and language models over HTTP: what callers ask, in which dialect, and what they get."""
