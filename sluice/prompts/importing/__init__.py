"""Prompts that other tools keep, read into ours; what has no counterpart is named.

`promptfoo` is the entry: a configuration of promptfoo becomes versions, cases and limits.
"""
