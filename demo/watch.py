"""A rollout in the terminal: its evidence while it runs, and a report at its end."""

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from math import log
from typing import Any

from cli.output import say, show_rows
from sluice.adapters.control.store import Control
from sluice.errors import SluiceError
from sluice.rollout.log import LogRecord, derive, describe_tests
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Action, Phase, Verb
from sluice.rollout.state_machine import read_pass
from sluice.rounding import write_fixed

POLL_SECONDS = 0.5
REPORT_BLOCKS = 10
"""Blocks of a stage after which the evidence is printed again."""
HELD_PHASES = frozenset({Phase.HOLDING, Phase.PAUSED, Phase.FROZEN})
DecisionLog = list[tuple[datetime, LogRecord]]


class RolloutWatch:
    """Prints a rollout's evidence from time to time while its block runs.

    It aborts a rollout that holds for `patience` seconds, because no person is there to decide.
    """

    def __init__(self, control: Control, service: str, patience: float = 60.0) -> None:
        self._control, self._service, self._patience = control, service, patience
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._printed, self._moved = "", time.monotonic()

    def __enter__(self) -> "RolloutWatch":
        """Start watching."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            try:
                record = self._control.rollouts.find_open(self._service)
                if record is not None:
                    self._print_evidence(record)
                    self._abort_if_held(record)
            except SluiceError as error:
                say(f"the rollout could not be read: {error}")

    def _print_evidence(self, record: RolloutRecord) -> None:
        state = record.state
        reports = state.observation.blocks // REPORT_BLOCKS
        key = f"{state.stage} {reports}"
        if state.phase.is_staged and reports and key != self._printed:
            self._printed = key
            say(f"{datetime.now().astimezone():%H:%M:%S}    {describe_evidence(record)}")

    def _abort_if_held(self, record: RolloutRecord) -> None:
        now = time.monotonic()
        if record.state.phase not in HELD_PHASES:
            self._moved = now
        elif now - self._moved > self._patience:
            self._moved = now
            say(f"held for {self._patience:.0f} s: aborted, because no person decides here;")
            say("a person would use `sluice rollout-control` with resume, skip or roll-back")
            command = (self._service, Action.ABORT.value, "the demo")
            reason = f"it holds: {record.state.reason}"
            self._control.commands.give(*command, reason, datetime.now(UTC))


def describe_evidence(record: RolloutRecord) -> str:
    """Describe in one line the evidence for the candidate, and the strongest against it."""
    state, policy = record.state, record.policy
    stage, observation = policy.stages[state.stage], state.observation
    tests = describe_tests(state, policy)
    name, nearest = max(tests.items(), key=lambda item: _share_of_threshold(item[1]))
    passes = [
        f"{rule} {write_fixed(value, 1)}"
        for rule in stage.passes
        if (value := read_pass(observation, rule)) is not None
    ]
    return (
        f"{stage.name} at {state.weight(policy):.0%}, block {observation.blocks}: "
        f"to advance, {log(1 / policy.pass_alpha):.1f} each: {', '.join(passes)}; "
        f"to stop: {name} {write_fixed(nearest['wealth'] or 0.0, 1)} of {nearest['threshold']:.1f}"
    )


def _share_of_threshold(test: Mapping[str, float | None]) -> float:
    return (test["wealth"] or 0.0) / (test["threshold"] or 1.0)


def report_rollout(control: Control, record: RolloutRecord, counts: dict[str, Any]) -> None:
    """Print a rollout's decisions, its callers' answers and its result; verify its log.

    Raises:
        LogBroken: the log does not lead to the decisions that it holds.
        ControlUnavailable: the control store does not answer.
    """
    say("")
    show_decisions(control.rollouts.read_log(record.service, record.number))
    show_callers(counts)
    route = control.routes.find(record.service)
    serves = f"v{route.champion} serves" if route else "no version serves"
    say(
        f"{record.service}: v{record.candidate} on trial beside v{record.champion}, "
        f"policy {record.policy.policy}: {record.state.phase}; {serves}"
    )
    steps = verify_log(control, record)
    say(f"derived again from the decision log alone: all {steps} steps, with the same reasons")


def show_decisions(log: DecisionLog) -> None:
    """Print every decision except holds, with its time, stage, weight and reason."""
    rows = [
        {
            "time": at.astimezone().strftime("%H:%M:%S"),
            "decision": record["decision"],
            "stage after it": f"{record['stage']}, {record['weight']:.0%}",
            "reason": record["reason"],
        }
        for at, record in log[1:]
        if record["decision"] != Verb.HOLD
    ]
    show_rows("Decisions of the rollout", rows)


def show_callers(counts: dict[str, Any]) -> None:
    """Print the callers' answers by assigned arm, and their errors."""
    rows = [
        {
            "assigned arm": source["arm"],
            "answered by": f"v{source['version']}",
            "answers": f"{source['answers']:,}",
            "right": f"{source['right'] / max(source['answers'], 1):.1%}",
        }
        for source in counts["sources"]
    ]
    show_rows("Answers to callers", rows)
    errors = ", ".join(f"{kind}: {n:,}" for kind, n in sorted(counts["errors"].items())) or "0"
    say(f"callers sent {counts['sent']:,} requests; errors at callers: {errors}")


def verify_log(control: Control, record: RolloutRecord) -> int:
    """Derive each decision of a rollout again from its log alone; return their number.

    Raises:
        LogBroken: the log does not lead to the decisions that it holds.
    """
    log = control.rollouts.read_log(record.service, record.number)
    return len(list(derive([record for _, record in log], record.policy)))
