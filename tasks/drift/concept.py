"""Concept drift: live performance is judged beside the windows of drift, on labels and without."""

from datetime import UTC, datetime

from sluice.adapters.control.monitoring.performance import JudgedWindow, WindowKind
from sluice.adapters.control.store import Control, prepare_control
from sluice.config.service import ServiceConfig
from sluice.drift.performance.windows import DROPPED
from tasks.drift.estimates import judge_estimates
from tasks.drift.performance import find_watched, judge_performance
from tasks.run.champions import find_serving
from tasks.run.decorators import effect

MOST = 1_000
"""Windows in which the one that began a drop is looked for."""


@effect
def judge_live(config: ServiceConfig, now: datetime | None = None) -> tuple[str, ...]:
    """Judge the windows of live performance that are due; return each drop that is not over.

    `now` is this moment by default. Changes are emitted as `performance.dropped` and
    `performance.recovered`, whoever judges first.

    Raises:
        DataInvalid: the version's reference profile is damaged or of another format.
        Fault: the control store, the registry or the traffic log cannot be reached.
    """
    now = now or datetime.now(UTC)
    version = find_serving(config.service)
    if version is None:
        return ()
    if watched := find_watched(config.service):
        judge_performance(config, now, watched)
        judge_estimates(config, now, watched)
    control = prepare_control()
    kinds: tuple[WindowKind, ...] = ("measured", "estimated")
    found = (_find_drop(control, config.service, version, kind) for kind in kinds)
    return tuple(words for words in found if words)


def _find_drop(control: Control, service: str, version: int, kind: WindowKind) -> str:
    """Return what dropped in words, and since when; empty where nothing did, or it is over."""
    last = control.performance.find_last(service, version, kind)
    if last is None or not last.dropped:
        return ""
    windows = control.performance.list_last(service, version, MOST, kind)
    began = next((one for one in windows if one.event == DROPPED), last)
    return _describe(began, kind)


def _describe(began: JudgedWindow, kind: WindowKind) -> str:
    subject = "concept" if kind == "measured" else "estimated performance"
    reason = began.payload.get("reason", "") if isinstance(began.payload, dict) else ""
    until = f"{began.last_at:%Y-%m-%d %H:%M} UTC"
    return f"{subject}: {reason or 'dropped'}, window {began.number} up to {until}"
