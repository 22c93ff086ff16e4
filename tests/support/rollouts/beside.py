"""What runs beside a test: a rollout in a thread, and a replica that flows of this process find."""

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
    """A rollout that runs while the test does something else."""

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


def await_course(
    find: Callable[[], RolloutRecord | None], question: Callable[[RolloutRecord], object]
) -> RolloutRecord:
    """Wait until the rollout that is found is as asked."""
    deadline, course = time.monotonic() + WAIT_SECONDS, None
    while time.monotonic() < deadline:
        course = find()
        if course and question(course):
            return course
        time.sleep(0.02)
    raise AssertionError(f"still {course.state if course else 'no rollout'}")


@contextmanager
def run_replica(control: Control, service: str) -> Iterator[TrafficReplica]:
    """Run a replica that rollouts of this process scrape."""
    with TrafficReplica(control, service) as replica, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_GATEWAY_URLS", replica.address)
        yield replica
