"""Configuration of prompts: the limits of their gates."""
