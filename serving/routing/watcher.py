"""What a worker does once a second: read the routes, load their models, replace the model table.

The routes that it read last are kept on disk, for a restart while the store cannot be reached, or
after an older store was restored. Only their champions count then: a candidate needs a route that
is renewed.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec

from serving.models.cache import list_named
from serving.models.loading import LoadedModels
from serving.routing.model_table import ModelTable, RouteState, ServiceEntry, build_entry
from sluice.adapters.storage import write_whole
from sluice.control.route import Route

ROUTES_FILE = "routes.json"
POLL_SECONDS = 1.0
START_SECONDS = 20.0
"""How long a worker that starts waits for its first models before it accepts requests."""
LOG = logging.getLogger("sluice.gateway")


def keep_routes(replica: Path, routes: Iterable[Route]) -> None:
    """Write the routes to disk; a full disk keeps the older ones."""
    with suppress(OSError):
        write_whole({replica / ROUTES_FILE: msgspec.json.encode(list(routes)).decode()})


def read_routes(replica: Path) -> list[Route]:
    """Return the routes that were kept; none where there are none, or they are unreadable."""
    try:
        return msgspec.json.decode((replica / ROUTES_FILE).read_bytes(), type=list[Route])
    except (OSError, msgspec.MsgspecError, ValueError):
        return []


class RouteWatcher:
    """Keeps one worker's model table up to date; everything that blocks runs in threads."""

    def __init__(
        self, list_routes: Callable[[], list[Route]], models: LoadedModels, replica: Path
    ) -> None:
        self._list_routes, self._models, self._replica = list_routes, models, replica
        self._thread = ThreadPoolExecutor(1, "routes")
        self._states: dict[str, RouteState] = {}
        self._is_first = True
        self._loading: asyncio.Task[bool] | None = None
        self._problem = ""
        self._kept: list[tuple[str, int, int]] = []
        self._conflicts: dict[str, str] = {}
        self.table = ModelTable()
        self.is_stopping = False
        """Set when the worker stops: then nothing is waited for."""

    async def start(self) -> None:
        """Wait for the champions, up to `START_SECONDS`; other workers answer meanwhile."""
        self._restore()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not self.is_stopping:
            await self.refresh()
            if self._loading:
                await self._loading
                self._replace_table()
            entries = self.table.entries.values()
            if self.table.has_routes and all(entry.champion for entry in entries):
                return
            await asyncio.sleep(POLL_SECONDS / 4)

    async def run(self) -> None:
        """Refresh the table every `POLL_SECONDS` until cancelled."""
        while True:
            began = time.monotonic()
            try:
                await self.refresh()
            except Exception:  # a bug here must not leave the worker with an old table for ever
                LOG.exception("the routes were not followed")
            await asyncio.sleep(max(0.0, began + POLL_SECONDS - time.monotonic()))

    async def refresh(self) -> None:
        """Read the routes, start to load the models they name, and replace the table."""
        loop = asyncio.get_running_loop()
        try:
            routes = await loop.run_in_executor(self._thread, self._list_routes)
        except Exception as error:  # whatever a store's driver raises, champions go on serving
            self._report(f"the control store cannot be read, champions go on: {error}")
        else:
            self._report("")
            self._update(routes)
            await self._keep()
        self._start_loading()
        self._replace_table()

    def close(self) -> None:
        """End the threads without waiting for what they are doing."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._models.close()

    def _restore(self) -> None:
        """Begin with the routes that this replica read last, for their champions only."""
        self._states = {route.service: RouteState(route) for route in read_routes(self._replica)}

    def _update(self, routes: Sequence[Route]) -> None:
        """Follow the routes that were read; one that is older than the kept one is a conflict."""
        self._is_first = False
        now, named = time.monotonic(), {route.service for route in routes}
        for route in routes:
            before = self._states.get(route.service, RouteState())
            self._states[route.service] = before.update(route, now)
        for service in self._states.keys() - named:
            self._states[service] = self._states[service].lose()
        self._report_conflicts()

    def _report_conflicts(self) -> None:
        """Log each conflict with the control store once while it lasts."""
        found = {name: state.conflict for name, state in self._states.items() if state.conflict}
        for service, conflict in found.items():
            if self._conflicts.get(service) != conflict:
                LOG.warning("%s: conflict: %s", service, conflict)
        self._conflicts = found

    async def _keep(self) -> None:
        """Keep the routes that count on disk, for a restart."""
        routes = [state.route for state in self._states.values() if state.route]
        known = [(route.service, route.epoch, route.champion) for route in routes]
        if known != self._kept:
            self._kept = known
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, keep_routes, self._replica, routes)

    def _start_loading(self) -> None:
        if self._loading is None or self._loading.done():
            named = list_named(state.route for state in self._states.values() if state.route)
            loop = asyncio.get_running_loop()
            self._loading = loop.create_task(self._models.load(named, time.monotonic()))
            self._loading.add_done_callback(self._end_loading)

    def _end_loading(self, task: asyncio.Task[bool]) -> None:
        if task.cancelled():
            return
        if error := task.exception():
            LOG.error("models were not loaded", exc_info=error)
        elif task.result():
            self._replace_table()

    def _replace_table(self) -> None:
        """Replace the table by one of the current route states and loaded models."""
        before = self.table.entries
        entries = {name: self._build_entry(state, before) for name, state in self._states.items()}
        self.table = ModelTable(entries, has_routes=bool(entries) or not self._is_first)

    def _build_entry(self, state: RouteState, entries: Mapping[str, ServiceEntry]) -> ServiceEntry:
        route = state.route
        if route is None:
            raise ValueError("a state without a route has no entry")
        service, before = route.service, entries.get(route.service)
        champion = self._models.champion(service, route.champion)
        missing = "" if champion else self._models.explain_missing(service, route.champion)
        candidate = None
        if route.candidate is not None:
            candidate = self._models.candidate(service, route.candidate)
            if candidate is None:
                missing = missing or self._models.explain_missing(service, route.candidate)
        if champion is None and before:
            champion = before.champion  # the older one answers until the new one is loaded
        return build_entry(state, champion, candidate, before, missing)

    def _report(self, problem: str) -> None:
        """Log a problem once while it lasts, and its end."""
        if problem != self._problem:
            LOG.warning(problem or "the control store can be read again")
        self._problem = problem
