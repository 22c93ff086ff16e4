"""Background of a test: a rollout in a thread, and a replica that flows of this process use."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sluice.adapters.control.store import Control
from sluice.rollout.record import RolloutRecord
from support.gateway.replica import TrafficReplica

WAIT_SECONDS = 180.0


class Beside:
    """A rollout that runs in a thread while the test does something else."""

    def __init__(self, roll: Callable[..., Any], *given: Any, **named: Any) -> None:
        self.state: Any = None
        self._thread = threading.Thread(target=self._run, args=(roll, given, named))
        self._thread.start()

    def _run(self, roll: Callable[..., Any], given: Any, named: dict[str, Any]) -> None:
        self.state = roll(*given, **named)

    def end(self) -> Any:
        self._thread.join(WAIT_SECONDS)
        assert self.state is not None
        return self.state


def await_rollout(
    find: Callable[[], RolloutRecord | None], question: Callable[[RolloutRecord], object]
) -> RolloutRecord:
    """Wait until the question is true of the rollout that `find` returns."""
    deadline, rollout = time.monotonic() + WAIT_SECONDS, None
    while time.monotonic() < deadline:
        rollout = find()
        if rollout and question(rollout):
            return rollout
        time.sleep(0.02)
    raise AssertionError(f"still {rollout.state if rollout else 'no rollout'}")


@contextmanager
def run_replica(control: Control, service: str) -> Iterator[TrafficReplica]:
    """Run a replica whose counters the rollouts of this process read."""
    with TrafficReplica(control, service) as replica, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_GATEWAY_URLS", replica.address)
        yield replica
