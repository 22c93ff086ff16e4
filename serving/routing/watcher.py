"""What a worker does once a second: read the routes, load their models, replace the model table.

The routes that it read last are kept on disk, for a restart while the store cannot be reached, or
after an older store was restored. Only their champions count then: a candidate needs a route that
is renewed. Kept as well is the version that served last: it goes on serving while the wanted one is
not to be had.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec

from serving.models.cache import ModelKey, list_named
from serving.models.loading import LoadedModels
from serving.routing.model_table import NEVER, ModelTable, RouteState, ServiceEntry, build_entry
from serving.routing.served import keep_served, read_served
from sluice.adapters.storage import write_whole
from sluice.control.route import Route

ROUTES_FILE = "routes.json"
POLL_SECONDS = 1.0
START_SECONDS = 20.0
"""How long a worker that starts waits for models that are in the cache; for others it does not."""
STORE_SECONDS = 3.0
"""How long it waits for the control store where it knows the routes of an earlier run."""
STEP_SECONDS = 0.05
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
        self._served: dict[str, int] = {}
        self._has_new_served = False
        self._read_at = NEVER
        self._first: asyncio.Task[None] | None = None
        self.table = ModelTable()
        self.is_stopping = False
        """Set when the worker stops: then nothing is waited for."""

    async def start(self) -> None:
        """Load the champions that the cache has, for `START_SECONDS` at most.

        A version that is not in the cache is not waited for: the other services can be answered.
        """
        self._restore()
        self._first = asyncio.get_running_loop().create_task(self.refresh())
        began = time.monotonic()
        while (waited := time.monotonic() - began) < START_SECONDS and not self.is_stopping:
            self._start_loading()
            await asyncio.sleep(STEP_SECONDS)
            self._replace_table()
            is_read = self._first.done() or (bool(self._states) and waited > STORE_SECONDS)
            if is_read and all(map(self._is_settled, self.table.entries.values())):
                return

    async def run(self) -> None:
        """Refresh the table every `POLL_SECONDS` until cancelled."""
        while True:
            began = time.monotonic()
            try:
                if self._first:
                    await self._first
                    self._first = None
                else:
                    await self.refresh()
            except Exception:  # a bug here must not leave the worker with an old table for ever
                LOG.exception("the routes were not followed")
                self._first = None
            await asyncio.sleep(max(0.0, began + POLL_SECONDS - time.monotonic()))

    async def refresh(self) -> None:
        """Read the routes, start to load the models they name, and replace the table."""
        loop = asyncio.get_running_loop()
        try:
            routes = await loop.run_in_executor(self._thread, self._list_routes)
        except Exception as error:  # whatever a store's driver raises, champions go on serving
            self._report(str(error) or type(error).__name__)
        else:
            self._report("")
            self._update(routes)
            await self._keep()
        self._start_loading()
        self._replace_table()
        if self._has_new_served:
            self._has_new_served = False
            served = dict(self._served)
            await loop.run_in_executor(self._thread, keep_served, self._replica, served)

    def close(self) -> None:
        """End the threads without waiting for what they are doing."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._models.close()

    def _restore(self) -> None:
        """Begin with the routes that this replica read last, for their champions only."""
        self._states = {route.service: RouteState(route) for route in read_routes(self._replica)}
        self._served = read_served(self._replica)

    def _update(self, routes: Sequence[Route]) -> None:
        """Follow the routes that were read; one that is older than the kept one is a conflict."""
        self._is_first, self._read_at = False, time.monotonic()
        now, named = self._read_at, {route.service for route in routes}
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
            known = [state.route for state in self._states.values() if state.route]
            named = [*list_named(known), *filter(None, map(self._find_last, known))]
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
        has_routes = bool(entries) or not self._is_first
        self.table = ModelTable(entries, has_routes, self._read_at, self._problem)
        now_served = {
            name: entry.champion.version
            for name, entry in entries.items()
            if entry.champion and entry.champion.version == entry.wanted
        }
        served = {**self._served, **now_served}
        if not self._is_first:
            served = {name: version for name, version in served.items() if name in entries}
        self._has_new_served |= served != self._served
        self._served = served

    def _find_last(self, route: Route) -> ModelKey | None:
        """Return the version that served last, where the wanted one is not to be had."""
        service, last = route.service, self._served.get(route.service)
        if last is None or last == route.champion or self._models.champion(service, route.champion):
            return None
        entry = self.table.entries.get(service)
        serves = entry.champion.version if entry and entry.champion else last
        is_needed = serves == last and self._models.is_tried(service, route.champion)
        return (service, last) if is_needed else None

    def _is_settled(self, entry: ServiceEntry) -> bool:
        """Whether a service can be answered, or nothing in the cache can answer it."""
        route = entry.state.route
        if route is None or entry.champion is not None:
            return True
        last = self._find_last(route)
        is_tried = self._models.is_tried(route.service, route.champion)
        return is_tried and (last is None or self._models.is_tried(*last))

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
        if champion is None and (last := self._find_last(route)):
            champion = self._models.champion(*last)
        return build_entry(state, champion, candidate, before, missing)

    def _report(self, problem: str) -> None:
        """Log a problem once while it lasts, and its end."""
        if problem != self._problem and problem:
            LOG.warning("the control store cannot be read, champions go on: %s", problem)
        elif problem != self._problem:
            LOG.warning("the control store can be read again")
        self._problem = problem
