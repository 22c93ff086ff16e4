"""What a worker does once a second: read the routes, load their models, replace the model table.

Only the champions count of them: a candidate is believed while its route is renewed, not before.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec

from serving.models.loading import Key, LoadedModels
from serving.routing.model_table import ModelTable, RouteState, ServiceEntry, build_entry
from sluice.adapters.storage import write_whole
from sluice.control.route import Route

FILE = "routes.json"


def keep_routes(replica: Path, routes: Iterable[Route]) -> None:
    """Write the routes; a disk that leaves no room keeps the older ones."""
    with suppress(OSError):
        write_whole({replica / FILE: msgspec.json.encode(list(routes)).decode()})


def read_routes(replica: Path) -> list[Route]:
    """Give the routes that were kept; none where there are none, or they are unreadable."""
    try:
        return msgspec.json.decode((replica / FILE).read_bytes(), type=list[Route])
    except (OSError, msgspec.MsgspecError, ValueError):
        return []


POLL_SECONDS = 1.0
START_SECONDS = 20.0
"""How long a worker that starts waits for its first models before it takes requests."""
LOG = logging.getLogger("sluice.gateway")


class RouteWatcher:
    """Keeps one worker's lineup; everything that blocks is done in threads."""

    def __init__(
        self, list_routes: Callable[[], list[Route]], models: LoadedModels, replica: Path
    ) -> None:
        self._list_routes, self._models, self._replica = list_routes, models, replica
        self._thread = ThreadPoolExecutor(1, "routes")
        self._beliefs: dict[str, RouteState] = {}
        self._is_first = True
        self._loading: asyncio.Task[bool] | None = None
        self._told = ""
        self._kept: list[tuple[str, int, int]] = []
        self.lineup = ModelTable()
        self.is_ending = False
        """Set by whoever ends the worker: nothing is waited for any more."""

    async def start(self) -> None:
        """Wait for the champions, for a while: others answer meanwhile, if there are any."""
        self._recall()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not self.is_ending:
            await self.look()
            if self._loading:
                await self._loading
                self._put_up()
            seats = self.lineup.seats.values()
            if self.lineup.has_looked and all(seat.champion for seat in seats):
                return
            await asyncio.sleep(POLL_SECONDS / 4)

    async def run(self) -> None:
        """Look again and again."""
        while True:
            began = time.monotonic()
            try:
                await self.look()
            except Exception:  # a bug here must not leave the worker with an old lineup for ever
                LOG.exception("the routes were not followed")
            await asyncio.sleep(max(0.0, began + POLL_SECONDS - time.monotonic()))

    async def look(self) -> None:
        """Read the routes and put up what follows from them; models come when they are loaded."""
        loop = asyncio.get_running_loop()
        try:
            routes = await loop.run_in_executor(self._thread, self._list_routes)
        except Exception as error:  # whatever a store's driver raises, champions go on
            self._tell(f"the control store cannot be read, champions go on: {error}")
        else:
            self._tell("")
            self._see(routes)
            await self._keep(routes)
        self._start_loading()
        self._put_up()

    def close(self) -> None:
        """End the threads; what they are doing is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._models.close()

    def _recall(self) -> None:
        """Begin with the routes that this replica read last, for their champions alone."""
        self._beliefs = {route.service: RouteState(route) for route in read_routes(self._replica)}

    def _see(self, routes: Sequence[Route]) -> None:
        if self._is_first:  # what was on disk may be of another store's epochs
            self._beliefs, self._is_first = {}, False
        now = time.monotonic()
        for route in routes:
            before = self._beliefs.get(route.service, RouteState())
            self._beliefs[route.service] = before.see(route, now)

    async def _keep(self, routes: Sequence[Route]) -> None:
        known = [(route.service, route.epoch, route.champion) for route in routes]
        if known != self._kept:
            self._kept = known
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, keep_routes, self._replica, routes)

    def _start_loading(self) -> None:
        if self._loading is None or self._loading.done():
            wanted = list_wanted(self._beliefs)
            loop = asyncio.get_running_loop()
            self._loading = loop.create_task(self._models.load(wanted, time.monotonic()))
            self._loading.add_done_callback(self._end_loading)

    def _end_loading(self, task: asyncio.Task[bool]) -> None:
        if task.cancelled():
            return
        if error := task.exception():
            LOG.error("models were not loaded", exc_info=error)
        elif task.result():
            self._put_up()

    def _put_up(self) -> None:
        """Replace the lineup by one that fits what is believed and what is loaded."""
        before = self.lineup.seats
        seats = {name: self._seat(belief, before) for name, belief in self._beliefs.items()}
        self.lineup = ModelTable(seats, has_looked=bool(seats) or not self._is_first)

    def _seat(self, belief: RouteState, seats: Mapping[str, ServiceEntry]) -> ServiceEntry:
        route = belief.route
        if route is None:
            raise ValueError("a belief without a route has no seat")
        service, before = route.service, seats.get(route.service)
        champion = self._models.champion(service, route.champion)
        missing = "" if champion else self._models.why_missing(service, route.champion)
        candidate = None
        if route.candidate is not None:
            candidate = self._models.candidate(service, route.candidate)
            if candidate is None:
                missing = missing or self._models.why_missing(service, route.candidate)
        if champion is None and before:
            champion = before.champion  # the older one answers until the new one is loaded
        return build_entry(belief, champion, candidate, before, missing)

    def _tell(self, words: str) -> None:
        if words != self._told:
            LOG.warning(words or "the control store can be read again")
        self._told = words


def list_wanted(beliefs: Mapping[str, RouteState]) -> list[Key]:
    """Give each version that a route names, champions first."""
    routes = [belief.route for belief in beliefs.values() if belief.route]
    champions = [(route.service, route.champion) for route in routes]
    return champions + [(route.service, route.candidate) for route in routes if route.candidate]
