"""Estimated performance: windows of answers are judged once, before their labels arrive.

A window has whole hours of the traffic log, as many as have 500 answers of the version. As with
labelled answers, any number of monitors may run at once, and none for days.
"""

from datetime import datetime, timedelta

from sluice.adapters.control.monitoring.performance import JudgedWindow
from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.traffic.log import count_answers, sample_answers
from sluice.config.service import ServiceConfig
from sluice.data.retention import read_hour
from sluice.drift.performance.estimated import EstimateVerdict, form_spans
from sluice.drift.performance.labelled import SkippedAnswers, decode_predictions
from sluice.drift.performance.live import PerformanceEstimate, estimate_performance
from sluice.drift.performance.reference import PerformanceReference
from sluice.home import find_home
from tasks.drift.performance import WatchedVersion, emit_changes, find_watched, read_state

START = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def judge_estimates(
    config: ServiceConfig, now: datetime, watched: WatchedVersion | None = None
) -> list[EstimateVerdict]:
    """Judge the estimate of each window that nobody has judged yet, and emit changes.

    `watched` is the version that serves by default. Empty where it has no reference profile.

    Raises:
        DataInvalid: the version's reference profile is damaged or of another format.
        Fault: the control store, the registry or the traffic log cannot be reached.
    """
    watched = watched or find_watched(config.service)
    if watched is None or watched.reference is None:
        return []
    control, version = prepare_control(), watched.record.version
    verdicts: list[EstimateVerdict] = []
    while _judge_new(control, config, watched.reference, version, now, verdicts):
        pass  # another monitor was first: begin again after its window
    emit_changes(control, config.service, now)
    return verdicts


def _judge_new(
    control: Control,
    config: ServiceConfig,
    reference: PerformanceReference,
    version: int,
    now: datetime,
    verdicts: list[EstimateVerdict],
) -> bool:
    """Judge the windows after the last one; return whether another monitor was first."""
    service = config.service
    last = control.performance.find_last(service, version, "estimated")
    start = last.last_at if last else START
    counts = count_answers(find_home().answers(service), version, start)
    until = now - timedelta(seconds=config.performance.settle_seconds)
    hours = {read_hour(hour): count for hour, count in counts.items()}
    for first, end in form_spans(hours, until):
        estimate, _ = estimate_recent(config, reference, version, first, end)
        verdict = EstimateVerdict(version, first, end, estimate)
        state, event = read_state(last).follow(config.performance, verdict.alarm)
        last = JudgedWindow(
            service,
            version,
            state.windows,
            end,
            "",
            state.dropped,
            state.clean,
            event,
            verdict.describe_event(state.windows) if event else {},
            verdict.to_document(),
            now,
            "estimated",
        )
        if not control.performance.add(last):
            return True
        verdicts.append(verdict)
    return False


def estimate_recent(
    config: ServiceConfig,
    reference: PerformanceReference,
    version: int,
    start: datetime,
    end: datetime,
) -> tuple[PerformanceEstimate, SkippedAnswers]:
    """Estimate the performance of a version's answers in a span of time, without labels.

    Raises:
        Fault: the traffic log cannot be reached.
    """
    answers = sample_answers(find_home().answers(config.service), version, start, end)
    predictions, frame, skipped = decode_predictions(reference.form(config), answers.to_pylist())
    return estimate_performance(config, reference, predictions, frame), skipped
