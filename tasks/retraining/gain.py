"""What a promotion gained on live labels: measured once, and kept in the timeline."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.traffic.labelled import count_labelled, find_source, read_version
from sluice.config.service import ServiceConfig
from sluice.control.timeline import BY_PERSONS, GAIN, RELEASE, TimelineEntry
from sluice.control.watermark import Watermark
from sluice.data.traffic.labels import score_answers
from sluice.home import find_home
from sluice.report.timeline import RUN

if TYPE_CHECKING:
    from sluice.stats.gain import ScoredAnswers

SUBJECT = "gain"
"""Subject of the watermark of the promotion that was measured, or looked at last."""
LONGEST_PAUSE = timedelta(minutes=30)
"""Longest time between two looks at the labels of a promotion that is not measured yet."""
LONGEST = timedelta(days=90)
"""A promotion without enough labels for so long is not measured."""


def record_gain(config: ServiceConfig) -> str:
    """Measure what the last promotion gained, once it has enough labels; return it as text.

    Empty where there is nothing to measure, or not yet. A rollback or restore by a person is no
    promotion.

    Raises:
        Fault: the control store or the traffic log cannot be reached.
    """
    control = prepare_control()
    look = _look(control, config, datetime.now(UTC))
    # Only the run that moves the mark writes the entry: two watches at once write one.
    if look is None or not control.watermarks.move(look.seen, look.next) or look.gain is None:
        return ""
    control.timeline.append(look.gain)
    return f"v{look.gain.version}: {look.gain.message}"


def find_gain(config: ServiceConfig) -> str:
    """Return which promotion `record_gain` would measure now; empty: none.

    A look that finds too few labels is noted, so that the next one comes later.

    Raises:
        Fault: the control store or the traffic log cannot be reached.
    """
    control = prepare_control()
    look = _look(control, config, datetime.now(UTC))
    if look is None:
        return ""
    if look.gain is None:
        control.watermarks.move(look.seen, look.next)
        return ""
    return f"the gain of v{look.gain.version} can be measured"


def find_pause(promoted: datetime, looked: datetime) -> timedelta:
    """Return the time from one look at the labels of a promotion to the next.

    A tenth of the time since the promotion: the gain is known soon after its labels are there, and
    a log without labels is not read again and again.
    """
    return min(LONGEST_PAUSE, (looked - promoted) / 10)


@dataclass(frozen=True)
class _Look:
    """A look at a promotion: its gain, if it can be measured, and the watermark after it."""

    seen: Watermark
    next: Watermark
    gain: TimelineEntry | None = None


def _look(control: Control, config: ServiceConfig, now: datetime) -> _Look | None:
    """Return what a look at the last promotion finds; None where none is due."""
    service = config.service
    served = control.timeline.list_served(service)
    if not served or not served[-1].previous or served[-1].action in BY_PERSONS:
        return None
    promotion = served[-1]
    mark = f"v{promotion.version} {promotion.at.isoformat()}"
    seen = control.watermarks.find(service, SUBJECT)
    if seen.mark == mark:
        looked = seen.announced
        if looked is None or now < looked + find_pause(promotion.at, looked):
            return None
    if now > promotion.at + LONGEST:
        return _Look(seen, seen.settle(mark))
    from sluice.stats.gain import LEAST_ANSWERS  # scipy; most watches have nothing to measure

    needed = max(LEAST_ANSWERS, config.retrain.minimum_labels)
    found = count_labelled(find_source(config, find_home()), promotion.at)
    gain = _measure(control, config, promotion, needed, now) if found >= needed else None
    return _Look(seen, seen.settle(mark) if gain else seen.announce(mark, now), gain)


def _measure(
    control: Control,
    config: ServiceConfig,
    promotion: TimelineEntry,
    needed: int,
    now: datetime,
) -> TimelineEntry | None:
    """Return the timeline's entry of a gain; None while the new version has too few labels."""
    from sluice.report.gain import describe_gain
    from sluice.stats.gain import measure_gain

    service = config.service
    version, previous = promotion.version or 0, promotion.previous or 0
    after, unread = _score(config, _read(config, version, promotion.at, now, now))
    if after.n < needed:
        return None
    release = _find_release(control, service, version)
    since = _find_since(control, release)
    rows = _read(config, previous, since or promotion.at - LONGEST, promotion.at, now)
    before, lost = _score(config, rows if since else rows.slice(max(0, len(rows) - after.n)))
    gain = measure_gain(config.problem, before, after)
    return TimelineEntry(
        service,
        now,
        GAIN,
        version,
        reason=release.reason if release else "",
        origin="the traffic log",
        message=describe_gain(gain, version, previous, unread + lost),
    )


def _read(
    config: ServiceConfig, version: int, start: datetime, end: datetime, now: datetime
) -> pa.Table:
    return read_version(find_source(config, find_home()), version, start, end, now)


def _score(config: ServiceConfig, rows: pa.Table) -> "tuple[ScoredAnswers, int]":
    import numpy as np

    from sluice.stats.gain import ScoredAnswers

    columns = [rows[name].to_pylist() for name in ("unit", "outputs", "label")]
    units, scores, unread = score_answers(config.problem, zip(*columns, strict=True))
    return ScoredAnswers(np.array(scores, dtype=np.float64), np.array(units, dtype=str)), unread


def _find_release(control: Control, service: str, version: int) -> TimelineEntry | None:
    entries = control.timeline.list_entries(service)
    return next(
        (item for item in entries if item.action == RELEASE and item.version == version), None
    )


def _find_since(control: Control, release: TimelineEntry | None) -> datetime | None:
    """Return the start of the window that showed the cause of a retraining; None: no such cause."""
    run = RUN.search(release.origin) if release else None
    retraining = control.retrainings.find_run(release.service, run[0]) if release and run else None
    return retraining.since if retraining else None
