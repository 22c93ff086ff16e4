"""A person's command to a rollout as it stands on record: who gave it and why, and the answer."""

from dataclasses import dataclass
from datetime import datetime

BY_HAND = 0
"""The rollout's number in a command that was given while none was under way."""


@dataclass(frozen=True)
class RecordedCommand:
    """One command; `answer` is empty until it was obeyed or refused, which happens once."""

    sequence: int
    service: str
    number: int
    """The rollout that it is about."""
    action: str
    by: str
    why: str
    at: datetime
    answer: str = ""
    """`obey` or `refuse`."""
    words: str = ""
    """What was answered."""

    @property
    def is_open(self) -> bool:
        """Whether nobody answered it yet."""
        return not self.answer
