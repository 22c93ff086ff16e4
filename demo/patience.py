"""Ends a rollout that only holds: in a story there is no person to decide."""

import threading
import time
from datetime import UTC, datetime

from flows.terminal import say
from sluice.adapters.control.store import Control
from sluice.errors import SluiceError
from sluice.rollout.phases import Action, Phase

LOOK_SECONDS = 1.0
HELD = frozenset({Phase.HOLDING, Phase.PAUSED, Phase.FROZEN})


class Patience:
    """While its block runs, a rollout of the service that holds for too long is aborted."""

    def __init__(self, control: Control, service: str, seconds: float = 60.0) -> None:
        self._control, self._service, self._seconds = control, service, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="patience", daemon=True)

    def __enter__(self) -> "Patience":
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        since = time.monotonic()
        while not self._ended.wait(LOOK_SECONDS):
            try:
                reason = self._read_hold()
                if not reason:
                    since = time.monotonic()
                elif time.monotonic() - since > self._seconds:
                    self._give_up(reason)
                    return
            except SluiceError as error:
                say(f"not looked: {error}")

    def _read_hold(self) -> str:
        """Give why the rollout holds; empty where it does not."""
        course = self._control.rollouts.find_open(self._service)
        return course.state.reason if course and course.state.phase in HELD else ""

    def _give_up(self, reason: str) -> None:
        say(f"it has held for {self._seconds:.0f} s, and nobody is here to decide; it is aborted")
        say("a person would use: `sluice rollout-control` with resume, skip or 'roll back'")
        command = (self._service, Action.ABORT.value, "the story", f"it holds: {reason}")
        self._control.commands.give(*command, datetime.now(UTC))
