"""When a call is tried again: the server's own wait, or one that doubles, both bounded."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_SECONDS = 0.5
TOO_MANY = 429
SPENT = "insufficient_quota"
"""OpenAI's code of a 429 that no wait heals."""


def is_transient(status: int, text: str = "") -> bool:
    """Whether the same request may succeed later: 429 and every status of 500 and above."""
    return status >= 500 or (status == TOO_MANY and SPENT not in text)


def read_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a server asks to wait; None where it does not say, or not in words.

    `retry-after-ms` has milliseconds, `retry-after` seconds or a date (RFC 9110, 10.2.3).
    """
    milliseconds = _read_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _read_number(value)
    if seconds is not None or not value:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def plan_wait(attempt: int, asked: float | None, longest: float, draw: float) -> float | None:
    """Return the seconds before the next attempt; None where the server asks for too many.

    `attempt` is the one that failed, 1 for the first. `draw` in [0, 1) spreads the waits of
    several callers, by up to half; a wait that the server asks for is never shortened.
    """
    if asked is not None:
        return asked if asked <= longest else None
    return min(longest, FIRST_SECONDS * 2.0 ** (attempt - 1)) * (1 - draw / 2)


def _read_number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
