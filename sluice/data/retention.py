"""Which hours of the traffic log are old, and which of those have waited long enough to go.

Ages are counted from the newest record, never from a clock of the machine. Records that are far
after all others do not count as new until a person accepts them: a clock that is ahead deletes
nothing. An hour that is old waits for a day of the log-writer's own running time, in which a
person can keep it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

HOUR_FORMAT = "%Y-%m-%dT%H"
WAIT_SECONDS = 86400.0
"""How long the log-writer must run between the choice of an hour and its deletion."""
LONGEST_GAP_DAYS = 3.0
"""Longest time without a record that is believed; less where rows are kept for a short time."""
GAP_SHARE = 0.25
"""The longest believed gap as a share of the days that rows are kept."""


@dataclass(frozen=True)
class Pause:
    """Who stopped all deleting, and why."""

    by: str
    reason: str
    at: str
    """ISO 8601, UTC."""


@dataclass(frozen=True)
class Retention:
    """What the log-writer remembers between two looks at the tables."""

    newest: str = ""
    """The newest hour that is believed; empty before the first look."""
    ahead: str = ""
    """The first hour that is too far after it; empty where there is none."""
    waiting: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By table, each hour that will be deleted and the seconds that it has waited."""
    pause: Pause | None = None

    def count_waiting(self) -> int:
        """Return the number of hours that wait, over all tables."""
        return sum(len(hours) for hours in self.waiting.values())


def format_hour(at: float) -> str:
    """Return the hour of a time in seconds since 1970, as the tables have it."""
    return datetime.fromtimestamp(at, UTC).strftime(HOUR_FORMAT)


def read_hour(hour: str) -> datetime:
    """Return when an hour begins."""
    return datetime.strptime(hour, HOUR_FORMAT).replace(tzinfo=UTC)


def longest_gap(days: float) -> timedelta:
    """Return the longest time without a record that is believed, at least an hour."""
    return timedelta(days=max(min(LONGEST_GAP_DAYS, GAP_SHARE * days), 1 / 24))


def believe_hours(found: Retention, hours: Iterable[str], days: float) -> Retention:
    """Return the newest hour that can be believed, and the first that cannot.

    From the newest hour that was believed before (at first the oldest), later hours are believed
    one after another, as long as no gap between two is too long.
    """
    ordered = sorted(set(hours))
    if not ordered:
        return replace(found, ahead="")
    newest, most = found.newest or ordered[0], longest_gap(days)
    for hour in ordered:
        if hour > newest:
            if read_hour(hour) - read_hour(newest) > most:
                return replace(found, newest=newest, ahead=hour)
            newest = hour
    return replace(found, newest=newest, ahead="")


def choose_old(sizes: Mapping[str, int], newest: str, days: float, most_bytes: int) -> list[str]:
    """Return a table's hours that are too old, or beyond its size; never its last one.

    `sizes` has the bytes of each hour; `newest` is the hour from which days are counted.
    """
    if not sizes or not newest:
        return []
    first = (read_hour(newest) - timedelta(days=days)).strftime(HOUR_FORMAT)
    total, last = 0, max(sizes)
    old = []
    for hour in sorted(sizes, reverse=True):
        total += sizes[hour]
        if hour != last and (hour < first or total > most_bytes):
            old.append(hour)
    return sorted(old)


def wait_longer(found: Retention, old: Mapping[str, list[str]], seconds: float) -> Retention:
    """Return the state after each old hour has waited for `seconds` more.

    An hour that is not old any more stops waiting. Nothing waits while deleting is paused.
    """
    if found.pause:
        return replace(found, waiting={})
    waiting = {
        table: {
            hour: before[hour] + seconds if hour in (before := found.waiting.get(table, {})) else 0
            for hour in hours
        }
        for table, hours in old.items()
        if hours
    }
    return replace(found, waiting=waiting)


def find_due(found: Retention, table: str) -> list[str]:
    """Return the hours of a table that have waited long enough."""
    waited = found.waiting.get(table, {})
    return sorted(hour for hour, seconds in waited.items() if seconds >= WAIT_SECONDS)


def describe_ahead(found: Retention) -> str:
    """Return the alarm for records that are too far after all others; empty without any."""
    if not found.ahead:
        return ""
    days = (read_hour(found.ahead) - read_hour(found.newest)) / timedelta(days=1)
    return (
        f"traffic log: records of {found.ahead} (UTC) come {days:.1f} days after those of "
        f"{found.newest}: a clock is ahead, or nothing was asked meanwhile; nothing is deleted "
        "because of them; next: set the clock, or, where it is right: "
        "`sluice retention --accept --by NAME --reason WORDS`"
    )


def accept_hours(found: Retention, hours: Iterable[str]) -> Retention:
    """Return the state in which the newest hour of the tables is believed."""
    return replace(found, newest=max([*hours, found.newest]), ahead="")


def stop_deleting(found: Retention, pause: Pause) -> Retention:
    """Return the state in which no hour waits, and none will until a person resumes it.

    What is the newest hour is decided again, as on the first look.
    """
    return replace(found, newest="", ahead="", waiting={}, pause=pause)
