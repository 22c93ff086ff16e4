"""Benchmarks of the evaluation of prompts."""
