"""Looking at what changed without an event: sources, and the services' own tables."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from sluice import errors
from sluice.adapters.sources.deliveries import list_deliveries
from sluice.config.loading import list_services
from sluice.config.service import ServiceConfig
from sluice.data.arrival import Delivery
from sluice.errors import DataUnavailable, GateFailed, ServiceUnknown, SluiceError
from tasks.data.ingestion import REFUSED
from tasks.run.forms import ALL
from tasks.run.leases import prepare_control
from tasks.run.state import end_skipped, read_failure

SETTLED_SECONDS = 10.0
"""A file that was touched later may still be being written."""


class SourceWatch:
    """What one watch saw, service by service: news, and what went wrong without stopping it."""

    def __init__(self) -> None:
        self.news: list[str] = []
        self.troubles: list[str] = []

    @contextmanager
    def bear(self, service: str) -> Iterator[None]:
        """Keep an error of one service from the others; it is told at the end."""
        try:
            yield
        except SluiceError as error:
            self._note_trouble(service, f"{type(error).__name__}: {error}")

    def note_run(self, service: str, state: State[Any]) -> None:
        """Note how taking in ended; a refusal of a gate is news, a source not read is trouble."""
        if state.is_completed():
            self.news.append(f"{service}: rows taken in")
            return
        name, _ = read_failure(state)
        found = getattr(errors, name, None)
        if isinstance(found, type) and issubclass(found, GateFailed):
            self.news.append(f"{service}: {state.message}")
        else:
            self._note_trouble(service, str(state.message))

    def note_told(self, service: str, told: str) -> None:
        """Note that the world was told of a change, if it was."""
        if told:
            self.news.append(f"{service}: told of {told}")

    def end(self) -> State[Any]:
        """Give the state to end in: Completed, or Skipped where there was nothing new.

        Raises:
            DataUnavailable: a service could not be watched; all others were.
        """
        if self.troubles:
            raise DataUnavailable("; ".join(self.troubles))
        if not self.news:
            return end_skipped("nothing new")
        get_run_logger().info("; ".join(self.news))
        return Completed(message="; ".join(self.news))

    def _note_trouble(self, service: str, fact: str) -> None:
        self.troubles.append(f"{service}: {fact}")


def choose_services(service: str) -> list[str]:
    """Give the services to watch: one, or all.

    Raises:
        ServiceUnknown: no configuration carries the name.
    """
    known = list_services()
    if service in ("", ALL):
        return known
    if service not in known:
        raise ServiceUnknown(f"no service '{service}'; known: {', '.join(known)}, or {ALL}")
    return [service]


def find_news(config: ServiceConfig) -> list[Delivery]:
    """Give what a service's source has new, but for what was refused as it stands.

    Not tried again where it fails: the next watch is a few minutes away.

    Raises:
        Refused: the source's URL or query is wrong.
        Fault: the source or the control store cannot be reached.
    """
    if config.source is None:
        return []
    marks = prepare_control().watermarks.list_marks(config.service)
    found = list_deliveries(config.source, marks, time.time() - SETTLED_SECONDS)
    return [item for item in found if marks.get(REFUSED + item.what) != item.mark]
