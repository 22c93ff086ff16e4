"""Which windows of traffic are judged now: each once, oldest first, a bounded number."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sluice.config.monitoring.drift import DriftConfig

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class Window:
    """A span of time: answers with `start` <= at < `end`."""

    start: datetime
    end: datetime

    def describe(self) -> str:
        """Return it for people, in UTC."""
        same = self.start.date() == self.end.date()
        end = f"{self.end:%H:%M}" if same else f"{self.end:%Y-%m-%d %H:%M}"
        return f"{self.start:%Y-%m-%d %H:%M} to {end} UTC"


@dataclass(frozen=True)
class DueWindows:
    """The windows to judge now, oldest first, and how many more are left for the next run."""

    windows: tuple[Window, ...]
    left: int = 0


def find_newest(config: DriftConfig, now: datetime) -> Window:
    """Return the newest window that is over, with every replica's log in the table."""
    length = timedelta(hours=config.window_hours)
    over = now - timedelta(seconds=config.settle_seconds)
    number = math.floor((over - EPOCH) / length)
    return Window(EPOCH + (number - 1) * length, EPOCH + number * length)


def list_due(
    config: DriftConfig, last: datetime | None, oldest: datetime | None, now: datetime
) -> DueWindows:
    """Return the windows after `last`, the end of the newest one that was judged.

    Without one only the newest window is due. `oldest` is the time of the oldest answer in the
    log: windows before it are not looked at.
    """
    newest = find_newest(config, now)
    if last is None:
        return DueWindows((newest,))
    length = newest.end - newest.start
    begin = last if oldest is None else max(last, oldest)
    # Where the length was changed, the first window begins before the end of the last one.
    first = math.floor((begin - EPOCH) / length)
    total = max(round((newest.end - EPOCH) / length) - first, 0)
    count = min(total, config.catch_up)
    windows = tuple(
        Window(EPOCH + (first + place) * length, EPOCH + (first + place + 1) * length)
        for place in range(count)
    )
    return DueWindows(windows, total - count)


def list_earlier(config: DriftConfig, reference: str, window: Window) -> tuple[Window, ...]:
    """Return the windows whose answers are the reference of a window; none for `training`.

    `trailing`: windows side by side that end where this one starts. `same_weekday`: the same hours
    of earlier weeks.
    """
    length = window.end - window.start
    if reference == "trailing":
        count = max(math.floor(timedelta(days=config.trailing_days) / length), 1)
        starts = [window.start - place * length for place in range(count, 0, -1)]
        return tuple(Window(start, start + length) for start in starts)
    if reference == "same_weekday":
        steps = [timedelta(weeks=week) for week in range(config.weeks, 0, -1)]
        return tuple(Window(window.start - step, window.end - step) for step in steps)
    return ()


def name_reference(config: DriftConfig, reference: str) -> str:
    """Return a reference for people, such as `trailing 7 d`; it is also its name in the store."""
    if reference == "trailing":
        return f"trailing {config.trailing_days:g} d"
    if reference == "same_weekday":
        return f"same weekday, {config.weeks} weeks"
    return reference
