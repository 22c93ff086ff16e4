"""A rollout told to people: its page, events and log lines, none of which ever holds up a tick."""

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
from sluice.report.rollout import LogLine, write_page
from sluice.rollout.log import Record
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Decision, Phase, Verb
from tasks.run.events import publish_event
from tasks.run.links import link_rollout

QUIET_SECONDS = 60.0
DRAIN_SECONDS = 30.0
PAGE_SECONDS, PAGE_BLOCKS = 5.0, 5
"""How soon a page may follow another only because a hold has a new phase, or a new reason."""
EVENTS = {
    Verb.BEGIN: "rollout.started",
    Verb.GO_ON: "rollout.advanced",
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
    """Does what may wait for the orchestration server, in its order, beside the ticks."""

    def __init__(self) -> None:
        super().__init__(name="narrator", daemon=True)
        self._context = contextvars.copy_context()
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._log = get_run_logger()

    def run(self) -> None:
        """Do one thing after another; what fails is said and left out."""
        while (job := self._jobs.get()) is not None:
            try:
                self._context.run(job)
            except Exception as error:  # the server is away: the control store has it all
                self._log.warning("not shown: %s: %s", type(error).__name__, error)

    def add(self, job: Callable[[], object]) -> None:
        """Put something at the end of the queue."""
        self._jobs.put(job)

    def end(self) -> None:
        """Wait for what is queued, half a minute at most."""
        self._jobs.put(None)
        self.join(DRAIN_SECONDS)


class RolloutArtifacts:
    """What one rollout shows of itself."""

    def __init__(
        self, control: Control, course: RolloutRecord, notes: tuple[str, ...] = ()
    ) -> None:
        self._log = get_run_logger()
        self._narrator = ProgressLog()
        self._narrator.start()
        page = link_rollout(course.service)
        self._notes = (*notes, *([f"[Watch it, second by second]({page})"] if page else []))
        log = _read_log(control, course)
        self._lines = [_write_line(at, item) for at, item in log if item["decision"] != Verb.HOLD]
        self._records = [item for _, item in log]
        self._told, self._words = 0.0, ""
        self._published, self._shown = 0.0, (course.state.phase, "")

    def show(self, course: RolloutRecord, decision: Decision, record: Record) -> None:
        """Show a step: a page and an event where something changed, else a line now and then."""
        self._records.append(record)
        late = _is_late(course, decision)
        if decision.verb is Verb.HOLD and not late:
            self._say(course, decision, only_now_and_then=True)
            if self._is_news(course, decision):
                self._publish(course, decision)
            return
        self._say(course, decision)
        self._lines.append(_write_line(datetime.now(UTC), record))
        self._publish(course, decision)
        for event in name_events(course, decision, late):
            payload = {
                "version": course.candidate,
                "champion": course.champion,
                "rollout": course.number,
                "tick": record["tick"],
                "phase": course.state.phase.value,
                "stage": record["stage"],
                "weight": record["weight"],
                "reason": decision.reason,
                "rule": decision.rule,
            }
            self._narrator.add(partial(publish_event, course.service, event, payload))

    def end(self) -> None:
        """Wait for what is still to be shown, half a minute at most."""
        self._narrator.end()

    def _is_news(self, course: RolloutRecord, decision: Decision) -> bool:
        """Whether a hold is of another phase than the page shows, or for another reason."""
        phase, kind = self._shown
        since = time.monotonic() - self._published
        if course.state.phase is not phase:
            return since >= PAGE_SECONDS
        pause = max(PAGE_SECONDS, PAGE_BLOCKS * course.policy.block)
        return _name_kind(decision) != kind and since >= pause

    def _publish(self, course: RolloutRecord, decision: Decision) -> None:
        self._published = time.monotonic()
        self._shown = course.state.phase, _name_kind(decision)
        lines, records = tuple(self._lines), tuple(self._records)
        words = f"v{course.candidate}: {decision.verb}: {decision.reason}"
        key = f"{course.service}-rollout"

        def publish() -> None:
            page = write_page(course, lines, self._notes, _draw(course, records))
            create_markdown_artifact(key=key, markdown=page, description=words)

        self._narrator.add(publish)

    def _say(
        self, course: RolloutRecord, decision: Decision, only_now_and_then: bool = False
    ) -> None:
        now, kind = time.monotonic(), _name_kind(decision)
        if only_now_and_then and kind == self._words and now - self._told < QUIET_SECONDS:
            return
        self._told, self._words = now, kind
        state = course.state
        told = (course.service, course.candidate, state.phase, state.weight(course.policy))
        self._log.info(
            "%s v%d, %s at %.0f%%: %s: %s",
            *told[:3],
            100 * told[3],
            decision.verb,
            decision.reason,
        )


def name_events(course: RolloutRecord, decision: Decision, late: bool) -> list[str]:
    """Give the events of a step; a command that ends the rollout is two."""
    found = [EVENTS[decision.verb]] if decision.verb in EVENTS else []
    found += [HELD] if late else []
    found += [ENDINGS[course.state.phase]] if course.state.phase in ENDINGS else []
    return found


def _name_kind(decision: Decision) -> str:
    """Give a reason without its numbers."""
    return re.sub(r"[\d.,]+", "#", decision.reason)


def _is_late(course: RolloutRecord, decision: Decision) -> bool:
    """Whether a stage just reached its `max` without an end: a person is asked."""
    state, policy = course.state, course.policy
    if decision.verb is not Verb.HOLD or state.phase is not Phase.HOLDING or state.unseen:
        return False
    return state.seen.blocks == policy.count_blocks(policy.stages[state.stage].max)


def _read_log(control: Control, course: RolloutRecord) -> list[tuple[datetime, Record]]:
    """Give the ticks so far, of a rollout that another controller began."""
    if course.tick == 1:
        return []
    return control.rollouts.read_log(course.service, course.number)[1:]


def _write_line(at: datetime, record: Record) -> LogLine:
    return LogLine(at.strftime("%m-%d %H:%M:%S"), record["decision"], record["reason"])


def _draw(course: RolloutRecord, records: Sequence[Record]) -> str:
    """Give the evidence by tick as a PNG in base64."""
    from sluice.plots.rollout import draw_evidence
    from sluice.plots.style import render_png

    title = f"{course.service}: v{course.candidate} beside v{course.champion}"
    picture = render_png(draw_evidence(title, records, course.policy))
    return base64.b64encode(picture).decode()
