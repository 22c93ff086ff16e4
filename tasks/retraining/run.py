"""The end of a run of `retrain`: what was decided for each service, and problems."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from sluice.control.retraining_event import read_time
from sluice.errors import CauseInvalid, SluiceError
from tasks.run.state import end_skipped

STARTED = "starts a release"
"""What a decision says that started a release."""


def read_moment(at: str) -> datetime:
    """Return the time of an event; if it is empty, the time for which the run was scheduled.

    Raises:
        CauseInvalid: it is not a time.
    """
    if not at:
        scheduled = flow_run.scheduled_start_time
        return scheduled.astimezone(UTC) if scheduled else datetime.now(UTC)
    found = read_time(at)
    if found is None:
        raise CauseInvalid(f"at: found '{at}'; allowed: a time, such as 2026-03-01T12:00:00+00:00")
    return found


class RetrainingRun:
    """What one run of `retrain` decided; errors of one service do not stop it."""

    def __init__(self) -> None:
        self._decisions: list[str] = []
        self._errors: list[tuple[str, SluiceError]] = []

    @contextmanager
    def isolate_errors(self, service: str) -> Iterator[None]:
        """Keep an error of one service from the others; it is reported at the end."""
        try:
            yield
        except SluiceError as error:
            self._errors.append((service, error))

    def note(self, service: str, decision: str, known: str) -> None:
        """Note a decision; `known` is what was decided on a copy of the event before."""
        said = decision or (f"known already: {known}" if known else "nothing new")
        self._decisions.append(f"{service}: {said}")

    def end(self) -> State[Any]:
        """Return the run's final state: Completed, or Skipped where no release was started.

        Raises:
            SluiceError: the first error; all other services were decided.
        """
        text = "; ".join(self._decisions)
        if self._errors:
            if text:
                get_run_logger().info(text)
            said = "; ".join(f"{name}: {error}" for name, error in self._errors)
            first = self._errors[0][1]
            raise type(first)(said) from first
        if STARTED not in text:
            return end_skipped(text)
        get_run_logger().info(text)
        return Completed(message=text)
