"""Watches a rollout for whoever sits at the terminal; one that only holds it ends."""

import threading
import time
from datetime import UTC, datetime
from math import log

from flows.terminal import say
from sluice.adapters.control.store import Control
from sluice.errors import SluiceError
from sluice.rollout.course import Course
from sluice.rollout.log import describe_tests
from sluice.rollout.phases import Action, Phase
from sluice.rollout.waiting import read_pass

LOOK_SECONDS = 0.5
BLOCKS = 10
"""After how many blocks of a stage the evidence is told again."""
HELD = frozenset({Phase.HOLDING, Phase.PAUSED, Phase.FROZEN})


class Watch:
    """While its block runs, tells a rollout's evidence now and then.

    In a story there is no person to decide: a rollout that holds for `patience` seconds is aborted.
    """

    def __init__(self, control: Control, service: str, patience: float = 60.0) -> None:
        self._control, self._service, self._patience = control, service, patience
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._told, self._moving = "", time.monotonic()

    def __enter__(self) -> "Watch":
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

    def _tell(self, course: Course) -> None:
        state = course.state
        tens = state.seen.blocks // BLOCKS
        kind = f"{state.stage} {tens}"
        if state.phase.is_staged and tens and kind != self._told:
            self._told = kind
            say(f"{datetime.now().astimezone():%H:%M:%S}    {describe_evidence(course)}")

    def _judge(self, course: Course) -> None:
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


def describe_evidence(course: Course) -> str:
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
