"""What a person asks for: a window such as `6 h` or a start and an end, a reference, a file."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sluice.config.monitoring.drift import DriftConfig
from sluice.drift.live.schedule import Window, find_newest
from sluice.errors import ConfigInvalid

UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
ALLOWED = "a length up to now such as `6 h`, `90 min` or `2 d`, or START..END in ISO 8601"
LONGEST = timedelta(days=366)


@dataclass(frozen=True)
class DriftRequest:
    """What a person asked for: a window, a file, another reference; empty for none of it."""

    window: str = ""
    reference: str = ""
    file: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether something was asked for that is no window of the schedule."""
        return bool(self.window or self.reference or self.file)


def read_window(text: str, config: DriftConfig, now: datetime) -> Window:
    """Return the window that a person named; without one the newest of the schedule.

    Times without a zone are UTC.

    Raises:
        ConfigInvalid: it is not readable, ends before it starts, or is longer than a year.
    """
    if not text.strip():
        return find_newest(config, now)
    start, dots, end = text.partition("..")
    window = _read_span(text, start, end) if dots else _read_length(text, now)
    length = window.end - window.start
    if length <= timedelta() or length > LONGEST:
        raise ConfigInvalid(
            f"window: found {text!r}, allowed: an end after the start, at most a year later"
        )
    return window


def _read_length(text: str, now: datetime) -> Window:
    found = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,3})?)\s*(min|h|d)\s*", text)
    if found is None:
        raise ConfigInvalid(f"window: found {text!r}, allowed: {ALLOWED}")
    length = float(found[1]) * UNITS[found[2]]
    return Window(now - min(length, 2 * LONGEST), now)


def _read_span(text: str, start: str, end: str) -> Window:
    try:
        moments = [datetime.fromisoformat(part.strip()) for part in (start, end)]
        first, last = (one if one.tzinfo else one.replace(tzinfo=UTC) for one in moments)
        return Window(first.astimezone(UTC), last.astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise ConfigInvalid(f"window: found {text!r}, allowed: {ALLOWED}") from error
