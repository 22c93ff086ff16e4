"""Prompts and language models that answer callers: versions in memory, guardrails, budgets."""
