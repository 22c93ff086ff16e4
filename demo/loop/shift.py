"""Stories in which only the people change: drift is reported, and the estimate follows."""

import time
from datetime import UTC, datetime
from typing import Any

from cli.output import report_waiting, say
from demo.loop.people import read_survey
from demo.loop.scenes import Loop, describe_window
from demo.loop.stories import BATCH, SEED, YEAR
from demo.loop.world import SERVICE
from sluice.drift.performance.figures import measure_metric, prepare_rows
from sluice.errors import ServerUnavailable

DETECTED = "drift.detected"
WINDOWS = 3
"""Windows of drift in which a shift has to be found."""
COMPARED = 2000
"""Answers by which estimated and measured performance are compared."""


def play_older(loop: Loop) -> bool:
    """Play a pure shift of the inputs: it is reported, and starts what `retrain` says."""
    rows = loop.story.change(read_survey(YEAR), loop.config, SEED)
    people, champion, began = f"people of {YEAR}, of 50 and over", loop.champion, datetime.now(UTC)
    say(f"\nnow {loop.story.title}")
    with loop.send(rows, people):
        if not _find_drift(loop):
            return False
        run = loop.wait("the run of retrain", lambda: loop.find_run("retrain", DETECTED, "data"))
        loop.tell(f"{DETECTED} started a run of retrain: {run.state.name}: {run.state.message}")
        loop.await_labels(champion, began, BATCH)
        if not loop.story.retrains:
            return not _has_dropped(loop, champion) and _has_released(loop, 1)
    with loop.send(rows, people, feedback=0.0):
        return _accept_and_release(loop) and _has_released(loop, 2)


def play_younger(loop: Loop) -> bool:
    """Play a shift to people whom the model knows less well: does the estimate see it?"""
    rows = loop.story.change(read_survey(YEAR), loop.config, SEED)
    champion, began = loop.champion, datetime.now(UTC)
    say(f"\nnow {loop.story.title}")
    with loop.send(rows, f"people of {YEAR}, of 18 to 30"):
        loop.await_labels(champion, began, COMPARED)
    return _is_followed(loop, champion, began)


def _find_drift(loop: Loop) -> bool:
    """Run `detect-drift` after each window, until an alarm opens; return whether one did."""
    from flows.detect_drift import detect_drift

    seconds, settle = loop.config.drift.window_hours * 3600, loop.config.drift.settle_seconds
    for _ in range(WINDOWS):
        with report_waiting("a window of drift"):
            time.sleep(seconds - time.time() % seconds + settle)
        state = detect_drift(SERVICE, return_state=True)
        loop.tell(f"detect-drift: {state.message}")
        if state.is_failed():
            return True
    return False


def _accept_and_release(loop: Loop) -> bool:
    """Let the rows in, which the data gate refuses, and follow the release to its end.

    Raises:
        ServerUnavailable: no batch was refused, or it was not accepted.
    """
    from flows.quarantine import quarantine

    loop.watch()
    batches = sorted(loop.home.quarantine(SERVICE).glob("*"))
    if not batches:
        raise ServerUnavailable("no batch was refused; look at the run of ingest")
    reason = "the service now asks about people of 50 and over"
    words = {"batch": batches[-1].name, "answer": "accept", "reason": reason, "by": "the demo"}
    state = quarantine(SERVICE, **words, return_state=True)
    if not state.is_completed():
        raise ServerUnavailable(f"the batch was not accepted: {state.message}")
    loop.tell(f"a person accepts the refused rows: {reason}")
    loop.watch()
    release = loop.await_release(2)
    if release.version is not None:
        loop.await_promotion(1, release.version)
    loop.watch()
    return release.reason.startswith(DETECTED)


def _has_released(loop: Loop, wanted: int) -> bool:
    found = len(loop.list_releases())
    loop.tell(f"releases of {SERVICE} in all: {found}; {wanted} had to be")
    return found == wanted


def _has_dropped(loop: Loop, version: int) -> bool:
    """Tell the windows of labelled answers; return whether performance has dropped."""
    verdicts = loop.judge_performance(version)
    for verdict in verdicts:
        loop.tell(f"{verdict.n} labels: {describe_window(verdict)}")
    return not verdicts or any(verdict.alarm for verdict in verdicts)


def _is_followed(loop: Loop, version: int, began: datetime) -> bool:
    """Tell the figure of the release, the estimate and the truth; return whether it follows."""
    from tasks.drift.estimates import estimate_recent
    from tasks.drift.performance import load_reference, read_recent
    from tasks.drift.profiles import find_record

    reference, now = load_reference(find_record(SERVICE, version)), datetime.now(UTC)
    if reference is None:
        raise ServerUnavailable(f"{SERVICE} v{version} has no reference profile")
    estimate, _ = estimate_recent(loop.config, reference, version, began, now)
    rows, _ = read_recent(loop.config, reference, version, began, now)
    scored = prepare_rows(reference.problem, reference.positive, rows.y, rows.predictions)
    is_near = False
    for figure in estimate.figures:
        truth = measure_metric(scored, figure.name)
        released = reference.find_figure(figure.name)
        words = [_write(released), _write(figure), _write(truth)]
        loop.tell(
            f"{figure.name}: {words[0]} at the release, {words[1]} estimated, {words[2]} true"
        )
        if figure.name == reference.primary and released is not None:
            is_near = _is_nearer(figure.value, truth.value, released.value)
    return is_near


def _is_nearer(estimate: float | None, truth: float | None, released: float | None) -> bool:
    """Whether the estimate is nearer to the truth than the figure of the release is."""
    if estimate is None or truth is None or released is None:
        return False
    return abs(estimate - truth) < abs(released - truth)


def _write(figure: Any) -> str:
    return "not known" if figure is None or figure.value is None else f"{figure.value:.3f}"
