"""Follow a rollout in the terminal, and account for it from the store and the callers."""

import threading
import time
from datetime import UTC, datetime
from math import log
from typing import Any

from cli.output import say, show_rows
from sluice.adapters.control.store import Control
from sluice.errors import SluiceError
from sluice.rollout.log import Record, derive, describe_tests
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Action, Phase, Verb
from sluice.rollout.state_machine import read_pass

Log = list[tuple[datetime, Record]]


def show_decisions(log: Log) -> None:
    """Print every decision but the holds: when, where the rollout was, what and why."""
    rows = [
        {
            "time": at.astimezone().strftime("%H:%M:%S"),
            "then at": f"{record['stage']}, {record['weight']:.0%}",
            "decision": record["decision"],
            "why": record["reason"],
        }
        for at, record in log[1:]
        if record["decision"] != Verb.HOLD
    ]
    show_rows("Decisions of the rollout", rows)


def show_callers(counts: dict[str, Any]) -> None:
    """Print what callers got: answers by the arm that each was assigned to, and errors."""
    rows = [
        {
            "assigned arm": source["arm"],
            "answered by": f"v{source['version']}",
            "answers": f"{source['answers']:,}",
            "right": f"{source['right'] / max(source['answers'], 1):.1%}",
        }
        for source in counts["sources"]
    ]
    show_rows("What callers got", rows)
    errors = ", ".join(f"{kind}: {n:,}" for kind, n in sorted(counts["errors"].items())) or "0"
    say(f"callers sent {counts['sent']:,} requests; errors at callers: {errors}")


def derive_again(control: Control, course: RolloutRecord) -> int:
    """Derive each decision of a rollout again from its log alone; give how many there were.

    Raises:
        LogBroken: the log does not lead to the decisions that it holds.
    """
    log = control.rollouts.read_log(course.service, course.number)
    return len(list(derive([record for _, record in log], course.policy)))


def give_account(control: Control, course: RolloutRecord, counts: dict[str, Any]) -> None:
    """Print decisions, callers, who serves, and that the log leads to each decision again.

    Raises:
        LogBroken: it does not.
        ControlUnavailable: the control store does not answer.
    """
    say("")
    show_decisions(control.rollouts.read_log(course.service, course.number))
    show_callers(counts)
    route = control.routes.find(course.service)
    serves = f"v{route.champion} serves" if route else "nobody serves"
    say(
        f"{course.service}: v{course.candidate} on trial beside v{course.champion}, "
        f"policy {course.policy.policy}: {course.state.phase}; {serves}"
    )
    ticks = derive_again(control, course)
    say(f"derived again from the decision log alone: all {ticks} steps, each with its reason")


LOOK_SECONDS = 0.5
BLOCKS = 10
"""After how many blocks of a stage the evidence is told again."""
HELD = frozenset({Phase.HOLDING, Phase.PAUSED, Phase.FROZEN})


class RolloutWatch:
    """While its block runs, tells a rollout's evidence now and then.

    In a story there is no person to decide: a rollout that holds for `patience` seconds is aborted.
    """

    def __init__(self, control: Control, service: str, patience: float = 60.0) -> None:
        self._control, self._service, self._patience = control, service, patience
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._told, self._moving = "", time.monotonic()

    def __enter__(self) -> "RolloutWatch":
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            try:
                course = self._control.rollouts.find_open(self._service)
                if course is not None:
                    self._tell(course)
                    self._judge(course)
            except SluiceError as error:
                say(f"not looked: {error}")

    def _tell(self, course: RolloutRecord) -> None:
        state = course.state
        tens = state.seen.blocks // BLOCKS
        kind = f"{state.stage} {tens}"
        if state.phase.is_staged and tens and kind != self._told:
            self._told = kind
            say(f"{datetime.now().astimezone():%H:%M:%S}    {describe_evidence(course)}")

    def _judge(self, course: RolloutRecord) -> None:
        now = time.monotonic()
        if course.state.phase not in HELD:
            self._moving = now
        elif now - self._moving > self._patience:
            self._moving = now
            say(f"held for {self._patience:.0f} s, and nobody is here to decide: it is aborted;")
            say("a person would use `sluice rollout-control` with resume, skip or 'roll back'")
            command = (self._service, Action.ABORT.value, "the story")
            why = f"it holds: {course.state.reason}"
            self._control.commands.give(*command, why, datetime.now(UTC))


def describe_evidence(course: RolloutRecord) -> str:
    """Say in a line how far each test is: to stop the candidate, and to let it on."""
    state, policy = course.state, course.policy
    stage, seen = policy.stages[state.stage], state.seen
    tests = describe_tests(state, policy)
    name, nearest = max(
        tests.items(), key=lambda item: (item[1]["wealth"] or 0.0) / (item[1]["threshold"] or 1.0)
    )
    passes = [
        f"{rule} {value:.1f}"
        for rule in stage.passes
        if (value := read_pass(seen, rule)) is not None
    ]
    return (
        f"{stage.name} at {state.weight(policy):.0%}, block {seen.blocks}: "
        f"to go on, {log(1 / policy.pass_alpha):.1f} each: {', '.join(passes)}; "
        f"to stop: {name} {nearest['wealth']:.1f} of {nearest['threshold']:.1f}"
    )
