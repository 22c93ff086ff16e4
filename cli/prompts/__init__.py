"""Commands about prompts: on their files, and those that ask models."""

from cli.prompts import prompt, publishing

__all__ = ["commands", "prompt", "publishing"]

commands = prompt.commands
