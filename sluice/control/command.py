"""A person's command to a rollout as it is recorded: by whom, the reason, and the answer."""

from dataclasses import dataclass
from datetime import datetime

BY_HAND = 0
"""The rollout number of a command that was given while no rollout was under way."""


@dataclass(frozen=True)
class Author:
    """A person who acts: by which name, the reason, and from where."""

    by: str
    reason: str
    origin: str = ""


@dataclass(frozen=True)
class RecordedCommand:
    """One command; `answer` is empty until it is obeyed or refused, which happens once."""

    sequence: int
    service: str
    number: int
    """The rollout that the command is for."""
    action: str
    by: str
    reason: str
    at: datetime
    answer: str = ""
    """`obey` or `refuse`."""
    message: str = ""
    """The answer as text."""
    origin: str = ""
    """From where it was given, such as a terminal, a form or a page."""

    @property
    def is_open(self) -> bool:
        """Whether it has no answer yet."""
        return not self.answer
