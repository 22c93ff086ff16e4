"""Commands about prompts: on their files, those that ask models, and answers that become cases."""

from cli.prompts import cases, prompt, publishing

__all__ = ["cases", "commands", "prompt", "publishing"]

commands = prompt.commands
