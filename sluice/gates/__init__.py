"""Frozen limits with one pure judgement each."""
