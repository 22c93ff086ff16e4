"""Providers of language models, and the models that prompts may name."""
