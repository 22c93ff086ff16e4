"""The live part of the demonstration of prompts: a simulated provider, callers, and a rollout."""
