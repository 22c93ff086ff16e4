"""Ids for requests that came without one: random, so that no two processes give the same."""

import os

DIGITS = 24
BLOCK = 256
"""Ids that one call of the system is enough for."""


class RequestIds:
    """One worker's supply."""

    def __init__(self) -> None:
        self._digits = ""
        self._used = 0

    def take(self) -> str:
        """Give 96 random bits as hexadecimal digits."""
        if self._used >= len(self._digits):
            self._digits, self._used = os.urandom(BLOCK * DIGITS // 2).hex(), 0
        self._used += DIGITS
        return self._digits[self._used - DIGITS : self._used]
