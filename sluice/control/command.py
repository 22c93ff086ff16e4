"""A person's command to a rollout as it is recorded: by whom, the reason, and the answer."""

from dataclasses import dataclass
from datetime import datetime

BY_HAND = 0
"""The rollout number of a command that was given while no rollout was under way."""


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

    @property
    def is_open(self) -> bool:
        """Whether it has no answer yet."""
        return not self.answer
