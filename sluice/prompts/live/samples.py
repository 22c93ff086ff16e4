"""Answers of live traffic that were sampled and judged, and their means by version."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean

from pydantic import Field

from sluice.config.yaml_file import Section
from sluice.monitoring.signals import Signal

WINDOW = timedelta(hours=24)
"""How much of the samples a figure is the mean of."""
KEPT = timedelta(days=7)


class JudgedSample(Section):
    """One sampled answer: what judges and the grounding scorer gave it, 0 to 1, never its text."""

    request_id: str
    at: float
    """When it was answered, in seconds since 1970."""
    version: int
    scores: dict[str, float] = Field(default_factory=dict)
    """By judge that is proved."""
    grounding: float | None = None
    """None where the answer has no source to be grounded in."""
    problem: str = ""
    """Why a judge gave no grade; empty where all did."""


def keep_recent(samples: Iterable[JudgedSample], now: datetime) -> list[JudgedSample]:
    """Return the samples of the last days, in order of time, each request once."""
    oldest = (now - KEPT).timestamp()
    found = {item.request_id: item for item in samples if item.at >= oldest}
    return sorted(found.values(), key=lambda item: (item.at, item.request_id))


def count_since(samples: Iterable[JudgedSample], start: datetime) -> int:
    """Return how many samples were answered from a time on."""
    return sum(item.at >= start.timestamp() for item in samples)


def list_sample_signals(
    service: str, version: int, samples: Sequence[JudgedSample], silence: str, now: datetime
) -> list[Signal]:
    """Return the mean judge score and the mean grounding of a version's answers of a day.

    `silence` says why no judge grades, empty where one does. An answer's judge score is the mean
    over the judges that graded it.
    """
    start = now - WINDOW
    recent = [item for item in samples if item.version == version and item.at >= start.timestamp()]
    judged = [fmean(item.scores.values()) for item in recent if item.scores]
    grounded = [item.grounding for item in recent if item.grounding is not None]
    problems = [item.problem for item in recent if item.problem and not item.scores]
    why = silence or (f"no grade: {problems[-1]}" if problems else "no sampled answer of the day")
    figures: dict[str, tuple[list[float], str]] = {
        "judge-score": (judged, why),
        "grounding": (grounded, "no sampled answer of the day has a source"),
    }
    return [
        Signal(
            service,
            name,
            start,
            now,
            fmean(values) if values else None,
            len(values),
            reason="" if values else missing,
            version=version,
        )
        for name, (values, missing) in figures.items()
    ]


def start_of_day(now: datetime) -> datetime:
    """Return the beginning of a moment's day, by UTC."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
