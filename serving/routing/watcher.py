"""What a worker does once a second: read the routes, load their models, replace the model table.

The routes that it read last are kept on disk, for a restart while the store cannot be reached, or
after an older store was restored. Only their champions count then: a candidate needs a route that
is renewed. Kept as well is the version that served last: it goes on serving while the wanted one is
not to be had.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from serving.llm.prompts import LoadedPrompts
from serving.models.cache import ModelKey, list_named
from serving.models.loading import LoadedModels
from serving.routing.model_table import (
    NEVER,
    AnyEntry,
    LoadedVersion,
    ModelEntry,
    ModelTable,
    PromptEntry,
    RouteState,
    build_entry,
    build_prompt_entry,
)
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
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return []


Version = TypeVar("Version", bound=LoadedVersion)
Loaded_co = TypeVar("Loaded_co", bound=LoadedVersion, covariant=True)


class VersionLoader(Protocol[Loaded_co]):
    """What loads the versions of one kind of route."""

    def champion(self, service: str, version: int) -> Loaded_co | None:
        """Return a version as the champion; None until it is loaded."""

    def candidate(self, service: str, version: int) -> Loaded_co | None:
        """Return a version as the candidate; None until it is loaded."""

    def is_tried(self, service: str, version: int) -> bool:
        """Whether a version is loaded, or it is known why it cannot be now."""

    def explain_missing(self, service: str, version: int) -> str:
        """Return why a version is not loaded."""

    async def load(self, named: Collection[ModelKey], now: float) -> bool:
        """Load the missing ones of these; return whether any was loaded."""


class RouteWatcher:
    """Keeps one worker's model table up to date; everything that blocks runs in threads."""

    def __init__(
        self,
        list_routes: Callable[[], list[Route]],
        models: LoadedModels,
        replica: Path,
        prompts: LoadedPrompts,
    ) -> None:
        self._list_routes, self._models, self._replica = list_routes, models, replica
        self._prompts = prompts
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
            if is_read and all(map(self._is_settled, self.table.list_entries())):
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
                LOG.warning("%s: conflict: %s", service, conflict, extra={"service": service})
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
            loop = asyncio.get_running_loop()
            self._loading = loop.create_task(self._load(known, time.monotonic()))
            self._loading.add_done_callback(self._end_loading)

    async def _load(self, routes: Sequence[Route], now: float) -> bool:
        """Load what routes name; return whether anything was loaded."""
        prompts = [route for route in routes if route.kind == "prompt"]
        models = [route for route in routes if route.kind == "model"]
        loads = (
            self._models.load(self._list_wanted(models), now),
            self._prompts.load(self._list_wanted(prompts), now),
        )
        return any(await asyncio.gather(*loads))

    def _list_wanted(self, routes: Sequence[Route]) -> list[ModelKey]:
        return [*list_named(routes), *filter(None, map(self._find_last, routes))]

    def _find_loader(self, route: Route) -> LoadedModels | LoadedPrompts:
        return self._prompts if route.kind == "prompt" else self._models

    def _end_loading(self, task: asyncio.Task[bool]) -> None:
        if task.cancelled():
            return
        if error := task.exception():
            LOG.error("models were not loaded", exc_info=error)
        elif task.result():
            self._replace_table()

    def _replace_table(self) -> None:
        """Replace the table by one of the current route states and loaded versions."""
        entries = self._build_entries()
        prompts = self._build_prompt_entries()
        has_routes = bool(entries or prompts) or not self._is_first
        self.table = ModelTable(entries, has_routes, self._read_at, self._problem, prompts)
        now_served = {
            entry.service: entry.champion.version
            for entry in self.table.list_entries()
            if entry.champion and entry.champion.version == entry.wanted
        }
        served = {**self._served, **now_served}
        if not self._is_first:
            known = {**entries, **prompts}
            served = {name: version for name, version in served.items() if name in known}
        self._has_new_served |= served != self._served
        self._served = served

    def _find_last(self, route: Route) -> ModelKey | None:
        """Return the version that served last, where the wanted one is not to be had."""
        service, last = route.service, self._served.get(route.service)
        loader = self._find_loader(route)
        if last is None or last == route.champion or loader.champion(service, route.champion):
            return None
        entry = self.table.find(service)
        serves = entry.champion.version if entry and entry.champion else last
        is_needed = serves == last and loader.is_tried(service, route.champion)
        return (service, last) if is_needed else None

    def _is_settled(self, entry: AnyEntry) -> bool:
        """Whether a service can be answered, or nothing in the cache can answer it."""
        route = entry.state.route
        if route is None or entry.champion is not None:
            return True
        last, loader = self._find_last(route), self._find_loader(route)
        is_tried = loader.is_tried(route.service, route.champion)
        return is_tried and (last is None or loader.is_tried(*last))

    def _build_entries(self) -> dict[str, ModelEntry]:
        found, before = {}, self.table.entries
        for name, state in self._states.items():
            if state.route is None or state.route.kind == "model":
                old = before.get(name)
                arms = self._find_arms(state, self._models, old.champion if old else None)
                found[name] = build_entry(state, arms[0], arms[1], old, arms[2])
        return found

    def _build_prompt_entries(self) -> dict[str, PromptEntry]:
        found, before = {}, self.table.prompts
        for name, state in self._states.items():
            if state.route is not None and state.route.kind == "prompt":
                old = before.get(name)
                arms = self._find_arms(state, self._prompts, old.champion if old else None)
                found[name] = build_prompt_entry(state, arms[0], arms[1], old, arms[2])
        return found

    def _find_arms(
        self, state: RouteState, loader: VersionLoader[Version], before: Version | None
    ) -> tuple[Version | None, Version | None, str]:
        """Return champion and candidate as far as they are loaded, and what is missing."""
        route = state.route
        if route is None:
            raise ValueError("a state without a route has no entry")
        service = route.service
        champion, candidate = loader.champion(service, route.champion), None
        missing = "" if champion else loader.explain_missing(service, route.champion)
        if route.candidate is not None:
            candidate = loader.candidate(service, route.candidate)
            if candidate is None:
                missing = missing or loader.explain_missing(service, route.candidate)
        if champion is None and before:
            champion = before  # the older one answers until the new one is loaded
        if champion is None and (last := self._find_last(route)):
            champion = loader.champion(*last)
        return champion, candidate, missing

    def _report(self, problem: str) -> None:
        """Log a problem once while it lasts, and its end."""
        if problem != self._problem and problem:
            LOG.warning("the control store cannot be read, champions go on: %s", problem)
        elif problem != self._problem:
            LOG.warning("the control store can be read again")
        self._problem = problem
