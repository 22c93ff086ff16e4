"""The requests of an experiment, or of the time before it, from the traffic log as arrays."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.adapters.traffic.log import HOUR, read_log
from sluice.config.experiments.experiment import FROM_FEEDBACK, ExperimentConfig
from sluice.data.retention import format_hour
from sluice.data.traffic.feedback import join_feedback
from sluice.documents import DocumentInvalid, parse_json
from sluice.experiments.requests import CONTROL, NONE, TREATMENT, ExperimentRequests
from sluice.rollout.assignment import hash_unit

BASE = ("request_id", "unit", "arm", "at", "position", "source")
LOGGED = ("latency_ms", "failed", "fallback", "guardrail", "cost", "input_tokens", "output_tokens")
LATER = ("first_byte_ms",)
ARMS = {"champion": CONTROL, "candidate": TREATMENT}
LONGEST_TRAIT = 40
"""Characters of a segment's value that are kept."""
Span = tuple[float, float]
"""From when until when, seconds since 1970; the end is exclusive."""


@dataclass(frozen=True)
class TrafficPlace:
    """Where a service's answers and all feedback are logged."""

    service: str
    answers: Path
    feedback: Path


def read_requests(
    place: TrafficPlace, config: ExperimentConfig, span: Span, epoch: int | None = None
) -> ExperimentRequests:
    """Return the requests of a span, of one epoch of the route if given.

    Without an epoch they are past traffic: whichever arm answered, all count as the control's.

    Raises:
        DataUnavailable: a table cannot be reached.
    """
    wanted: set[str] = {metric.source for metric in config.list_metrics()}
    logged = [name for name in (*LOGGED, *LATER) if name in wanted or name == "failed"]
    segments = ["inputs"] if config.segments and epoch is not None else []
    only = _within(span)
    if epoch is not None:
        only &= pc.field("epoch") == epoch
    answers = read_log(place.answers, [*BASE, *logged, *segments], only)
    if answers is None or not answers.num_rows:
        return _empty(wanted)
    feedback = None
    if wanted & set(FROM_FEEDBACK):
        # Feedback comes later than the answer that it is about.
        later = (span[0], span[1] + config.window + config.wait)
        columns = ["request_id", "at", "position", "service", "label", "rating", "value"]
        feedback = read_log(place.feedback, columns, _within(later))
    return _build(_join(answers, feedback, place.service), config, wanted, is_past=epoch is None)


def _within(span: Span) -> Any:
    first, last = (format_hour(moment) for moment in span)
    hours = (pc.field(HOUR) >= first) & (pc.field(HOUR) <= last)
    start, end = (
        pa.scalar(datetime.fromtimestamp(moment, UTC), pa.timestamp("us", tz="UTC"))
        for moment in span
    )
    return hours & (pc.field("at") >= start) & (pc.field("at") < end)


def _join(answers: pa.Table, feedback: pa.Table | None, service: str) -> pa.Table:
    """Return answers with their feedback, in the order of time."""
    if feedback is not None:
        named = pc.fill_null(feedback["service"], "")
        feedback = feedback.filter(pc.is_in(named, pa.array([service, ""])))
    if feedback is not None and feedback.num_rows:
        times = feedback.group_by("request_id").aggregate([("at", "max")])
        times = times.rename_columns({"at_max": "feedback_at"})
        answers = join_feedback(answers, feedback, service)
        answers = answers.join(times, "request_id", join_type="left outer")
    return answers.sort_by([("at", "ascending"), ("position", "ascending")])


def _build(
    rows: pa.Table, config: ExperimentConfig, wanted: set[str], is_past: bool
) -> ExperimentRequests:
    names, unit = np.unique(rows["unit"].to_numpy(), return_inverse=True)
    arms = [NONE if not is_past else CONTROL] * rows.num_rows
    if not is_past:
        arms = [ARMS.get(arm, NONE) for arm in rows["arm"].to_pylist()]
    arm = np.array(arms, dtype=np.int64)
    feedback_at = np.full(rows.num_rows, np.nan)
    if "feedback_at" in rows.column_names:
        feedback_at = _read_times(rows["feedback_at"])
    return ExperimentRequests(
        names=names.astype(str),
        unit=unit.astype(np.int64),
        arm=arm,
        at=_read_times(rows["at"]),
        figures={name: _read_figure(rows, name) for name in wanted},
        feedback_at=feedback_at,
        traits={} if is_past else _read_traits(rows, config, unit, arm, len(names)),
        without_unit=0 if config.unit == "request" else _count_without(rows),
    )


def _read_times(column: pa.ChunkedArray) -> Any:
    micros = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return micros.astype(float) / 1e6


def _read_figure(rows: pa.Table, name: str) -> Any:
    """Return a source of each request as numbers; NaN where it has none."""
    if name == "requests":
        return np.ones(rows.num_rows)
    if name in ("positive", "negative"):
        rating = _read_figure(rows, "rating")
        hit = rating > 0 if name == "positive" else rating < 0
        return np.where(np.isfinite(rating), hit.astype(float), np.nan)
    if name not in rows.column_names:  # nobody has sent feedback
        return np.full(rows.num_rows, np.nan)
    if name == "label":
        return np.array([_read_label(text) for text in rows[name].to_pylist()])
    values = rows[name].cast(pa.float64()).to_numpy(zero_copy_only=False).astype(float)
    if name in ("latency_ms", "first_byte_ms"):
        failed = rows["failed"].to_numpy(zero_copy_only=False).astype(bool)
        values = np.where(failed, np.nan, values)
    return values


def _read_label(text: str | None) -> float:
    """Return a label that is a number or true or false; else NaN."""
    try:
        found = parse_json(text) if text else None
    except DocumentInvalid:
        return float("nan")
    return float(found) if isinstance(found, int | float) else float("nan")


def _read_traits(
    rows: pa.Table, config: ExperimentConfig, unit: Any, arm: Any, total: int
) -> Mapping[str, Sequence[str]]:
    """Return what is known of each unit by its first request that belongs to an arm."""
    order = np.flatnonzero(arm != NONE)
    _, first = np.unique(unit[order], return_index=True)
    places = order[first]
    chosen = rows.take(pa.array(places))
    days = [f"{moment:%Y-%m-%d}" for moment in chosen["at"].to_pylist()]
    replicas = [str(text or "").partition("/")[0] for text in chosen["source"].to_pylist()]
    found: dict[str, list[str]] = {"day": days, "replica": replicas}
    if config.segments and "inputs" in chosen.column_names:
        records = [_read_record(text) for text in chosen["inputs"].to_pylist()]
        for name in config.segments:
            found[name] = [_write_trait(record.get(name)) for record in records]
    traits = {}
    for name, values in found.items():
        whole = [""] * total
        for place, value in zip(unit[places], values, strict=True):
            whole[place] = value
        traits[name] = whole
    return traits


def _read_record(text: str | None) -> dict[str, Any]:
    """Return the first record of a request's inputs; nothing where they cannot be read."""
    try:
        found = parse_json(text or "")
    except DocumentInvalid:
        return {}
    first = found[0] if isinstance(found, list) and found else found
    if isinstance(first, dict) and isinstance(first.get("variables"), dict):
        return dict(first["variables"])
    return dict(first) if isinstance(first, dict) else {}


def _write_trait(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:LONGEST_TRAIT]


def _count_without(rows: pa.Table) -> int:
    """Return how many requests named no unit: they are logged under the hash of their id."""
    pairs = zip(rows["unit"].to_pylist(), rows["request_id"].to_pylist(), strict=True)
    return sum(unit == hash_unit(request) for unit, request in pairs)


def _empty(wanted: set[str]) -> ExperimentRequests:
    nothing = np.zeros(0)
    codes = np.zeros(0, dtype=np.int64)
    figures = {name: nothing for name in wanted}
    return ExperimentRequests(np.zeros(0, dtype=str), codes, codes, nothing, figures, nothing)
