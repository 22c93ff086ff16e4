"""How a rollout is reported: its page, events and log lines; none of them delays a tick."""

import base64
import contextvars
import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from sluice.adapters.control.store import Control
from sluice.report.next_steps import advise
from sluice.report.rollout import DecisionLine, write_page
from sluice.rollout.log import LogRecord
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Decision, Phase, Verb
from tasks.run.events import publish_event
from tasks.run.links import link_rollout

QUIET_SECONDS = 60.0
"""Seconds before a hold with the same kind of reason is logged again."""
DRAIN_SECONDS = 30.0
"""Longest wait for the queue at the end."""
PAGE_SECONDS, PAGE_BLOCKS = 5.0, 5
"""Shortest time between two pages if only a hold's phase, or its reason, has changed."""
EVENTS = {
    Verb.BEGIN: "rollout.started",
    Verb.ADVANCE: "rollout.advanced",
    Verb.PAUSE: "rollout.paused",
    Verb.FREEZE: "rollout.frozen",
    Verb.THAW: "rollout.thawed",
    Verb.ROLL_BACK: "rollout.rolling-back",
    Verb.OBEY: "rollout.commanded",
    Verb.REFUSE: "rollout.command-refused",
}
ENDINGS = {
    Phase.DONE: "rollout.promoted",
    Phase.ROLLED_BACK: "rollout.rolled-back",
    Phase.ABORTED: "rollout.aborted",
}
HELD = "rollout.held"


class ProgressLog(threading.Thread):
    """Runs jobs that may wait for the orchestration server, in order, in a thread of its own."""

    def __init__(self) -> None:
        super().__init__(name="progress log", daemon=True)
        self._context = contextvars.copy_context()
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._log = get_run_logger()

    def run(self) -> None:
        """Run one job after another; a job that fails is logged and skipped."""
        while (job := self._jobs.get()) is not None:
            try:
                self._context.run(job)
            except Exception as error:  # the server is away: the control store has everything
                self._log.warning("not reported: %s: %s", type(error).__name__, error)

    def add(self, job: Callable[[], object]) -> None:
        """Append a job to the queue."""
        self._jobs.put(job)

    def end(self) -> None:
        """Wait for all queued jobs, half a minute at most."""
        self._jobs.put(None)
        self.join(DRAIN_SECONDS)


class RolloutArtifacts:
    """Reports one rollout: its page, its events and its log lines."""

    def __init__(
        self, control: Control, rollout: RolloutRecord, notes: tuple[str, ...] = ()
    ) -> None:
        self._log = get_run_logger()
        self._progress = ProgressLog()
        self._progress.start()
        page = link_rollout(rollout.service)
        self._notes = (*notes, *([f"[Watch it, second by second]({page})"] if page else []))
        log = _read_log(control, rollout)
        self._lines = [_write_line(at, item) for at, item in log if item["decision"] != Verb.HOLD]
        self._records = [item for _, item in log]
        self._logged, self._kind = 0.0, ""
        self._published, self._shown = 0.0, (rollout.state.phase, "")

    def show(self, rollout: RolloutRecord, decision: Decision, record: LogRecord) -> None:
        """Report a step: page, events and a log line; a hold only gets an occasional log line."""
        self._records.append(record)
        late = _is_late(rollout, decision)
        if decision.verb is Verb.HOLD and not late:
            self._log_step(rollout, decision, occasionally=True)
            if self._is_news(rollout, decision):
                self._publish(rollout, decision)
            return
        self._log_step(rollout, decision)
        self._lines.append(_write_line(datetime.now(UTC), record))
        self._publish(rollout, decision)
        for event in name_events(rollout, decision, late):
            payload = {
                "version": rollout.candidate,
                "champion": rollout.champion,
                "rollout": rollout.number,
                "tick": record["tick"],
                "phase": rollout.state.phase.value,
                "stage": record["stage"],
                "weight": record["weight"],
                "reason": decision.reason,
                "rule": decision.rule,
                **({"next": advice} if (advice := advise(rollout)) else {}),
            }
            self._progress.add(partial(publish_event, rollout.service, event, payload))

    def end(self) -> None:
        """Wait for reports that are still queued, half a minute at most."""
        self._progress.end()

    def _is_news(self, rollout: RolloutRecord, decision: Decision) -> bool:
        """Whether a hold has another phase or kind of reason than the page shows."""
        phase, kind = self._shown
        since = time.monotonic() - self._published
        if rollout.state.phase is not phase:
            return since >= PAGE_SECONDS
        pause = max(PAGE_SECONDS, PAGE_BLOCKS * rollout.policy.block)
        return _name_kind(decision) != kind and since >= pause

    def _publish(self, rollout: RolloutRecord, decision: Decision) -> None:
        self._published = time.monotonic()
        self._shown = rollout.state.phase, _name_kind(decision)
        lines, records = tuple(self._lines), tuple(self._records)
        title = f"v{rollout.candidate}: {decision.verb}: {decision.reason}"
        key = f"{rollout.service}-rollout"

        def publish() -> None:
            page = write_page(rollout, lines, self._notes, _draw(rollout, records))
            create_markdown_artifact(key=key, markdown=page, description=title)

        self._progress.add(publish)

    def _log_step(
        self, rollout: RolloutRecord, decision: Decision, occasionally: bool = False
    ) -> None:
        now, kind = time.monotonic(), _name_kind(decision)
        if occasionally and kind == self._kind and now - self._logged < QUIET_SECONDS:
            return
        self._logged, self._kind = now, kind
        state = rollout.state
        advice = advise(rollout)
        self._log.info(
            "%s v%d, %s at %.0f%%: %s: %s%s",
            rollout.service,
            rollout.candidate,
            rollout.stage_name,
            100 * state.weight(rollout.policy),
            decision.verb,
            decision.reason,
            f"; next: {advice}" if advice else "",
        )


def name_events(rollout: RolloutRecord, decision: Decision, late: bool) -> list[str]:
    """Return the events of a step; a command that ends the rollout has two."""
    found = [EVENTS[decision.verb]] if decision.verb in EVENTS else []
    found += [HELD] if late else []
    found += [ENDINGS[rollout.state.phase]] if rollout.state.phase in ENDINGS else []
    return found


def _name_kind(decision: Decision) -> str:
    """Return a reason without its numbers."""
    return re.sub(r"[\d.,]+", "#", decision.reason)


def _is_late(rollout: RolloutRecord, decision: Decision) -> bool:
    """Whether a stage has just reached its `max` and holds there, for a person to decide."""
    state, policy = rollout.state, rollout.policy
    if decision.verb is not Verb.HOLD or state.phase is not Phase.HOLDING or state.missed_ticks:
        return False
    return state.observation.blocks == policy.count_blocks(policy.stages[state.stage].max)


def _read_log(control: Control, rollout: RolloutRecord) -> list[tuple[datetime, LogRecord]]:
    """Return the records so far of a rollout that another controller began."""
    if rollout.tick == 1:
        return []
    return control.rollouts.read_log(rollout.service, rollout.number)[1:]


def _write_line(at: datetime, record: LogRecord) -> DecisionLine:
    return DecisionLine(at.strftime("%m-%d %H:%M:%S"), record["decision"], record["reason"])


def _draw(rollout: RolloutRecord, records: Sequence[LogRecord]) -> str:
    """Return a plot of the evidence by tick as a PNG in base64."""
    from sluice.plots.rollout import draw_evidence
    from sluice.plots.style import render_png

    title = f"{rollout.service}: v{rollout.candidate} beside v{rollout.champion}"
    picture = render_png(draw_evidence(title, records, rollout.policy))
    return base64.b64encode(picture).decode()
