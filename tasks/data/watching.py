"""The watch on changes without an event: sources, and the services' own tables."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from sluice import errors
from sluice.adapters.control.store import prepare_control
from sluice.adapters.sources.deliveries import list_deliveries
from sluice.config.loading import list_services
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import Delivery
from sluice.errors import DataUnavailable, GateFailed, ServiceUnknown, SluiceError
from sluice.home import find_home
from tasks.data.ingestion import REFUSED
from tasks.run.forms import ALL
from tasks.run.state import end_skipped, read_failure

SETTLED_SECONDS = 10.0
"""Age of a file, in seconds, from which it is read; a newer file may not be complete."""


class SourceWatch:
    """The result of one watch: changes by service, and problems that did not stop it."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.problems: list[str] = []

    @contextmanager
    def isolate_errors(self, service: str) -> Iterator[None]:
        """Keep an error of one service from the others; it is reported at the end."""
        try:
            yield
        except SluiceError as error:
            self._note_problem(service, f"{type(error).__name__}: {error}")

    def note_run(self, service: str, state: State[Any]) -> None:
        """Note the result of an ingest: a gate's refusal is a change, any other error a problem."""
        if state.is_completed():
            self.changes.append(f"{service}: rows ingested")
            return
        name, _ = read_failure(state)
        found = getattr(errors, name, None)
        if isinstance(found, type) and issubclass(found, GateFailed):
            self.changes.append(f"{service}: {state.message}")
        else:
            self._note_problem(service, str(state.message))

    def note_announced(self, service: str, announced: str) -> None:
        """Note which change an event announced; empty: none."""
        if announced:
            self.changes.append(f"{service}: announced {announced}")

    def note_change(self, service: str, change: str) -> None:
        """Note what was decided, told or repaired; empty: nothing new."""
        if change:
            self.changes.append(f"{service}: {change}")

    def end(self) -> State[Any]:
        """Return the run's final state: Completed, or Skipped where there was nothing new.

        Raises:
            DataUnavailable: a service could not be watched; all others were.
        """
        if self.problems:
            raise DataUnavailable("; ".join(self.problems))
        if not self.changes:
            return end_skipped("nothing new")
        get_run_logger().info("; ".join(self.changes))
        return Completed(message="; ".join(self.changes))

    def _note_problem(self, service: str, problem: str) -> None:
        self.problems.append(f"{service}: {problem}")


def choose_services(service: str) -> list[str]:
    """Return the services to watch: one, or all.

    Raises:
        ServiceUnknown: no configuration has the name.
    """
    known = list_services()
    if service in ("", ALL):
        return known
    if service not in known:
        raise ServiceUnknown(f"no service '{service}'; known: {', '.join(known)}, or {ALL}")
    return [service]


def find_new_deliveries(config: ServiceConfig) -> list[Delivery]:
    """Return a source's new deliveries, without those that were refused and have not changed.

    An error is not retried, because the next watch runs a few minutes later.

    Raises:
        Refused: the source's URL or query is wrong.
        Fault: the source or the control store cannot be reached.
    """
    if config.source is None:
        return []
    marks = prepare_control().watermarks.list_marks(config.service)
    found = list_deliveries(config, find_home(), marks, time.time(), SETTLED_SECONDS)
    return [item for item in found if marks.get(REFUSED + item.subject) != item.mark]
