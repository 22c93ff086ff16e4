"""Flows of prompts."""
