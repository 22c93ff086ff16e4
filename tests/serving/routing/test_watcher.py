"""A worker that starts serves what the cache has: the wanted version, or the last good one.

A control store that was restored from an older copy takes nothing away from it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from serving.models.cache import CacheEntry, ModelCache
from serving.models.loading import LoadedModels
from serving.routing.model_table import ModelTable, RouteState
from serving.routing.served import read_served
from serving.routing.watcher import START_SECONDS, RouteWatcher
from sluice.control.route import Route
from sluice.errors import ControlUnavailable
from support.gateway.application import no_prompts
from support.gateway.models import describe_model
from support.pace import slowed


@dataclass
class Replica:
    """A worker's watcher that begins anew with each call, on one folder."""

    folder: Path
    cache: ModelCache
    towns: Any
    routes: list[Route] = field(default_factory=list)
    store: Callable[[], list[Route]] | None = None

    def keep(self, service: str, versions: Sequence[int], **changes: str) -> None:
        for version in versions:
            facts = describe_model(self.towns.data, "binary", version, service=service, **changes)
            self.cache.publish(self.cache.keep(facts, self.towns.folder))

    def start(self, rounds: int = 1) -> ModelTable:
        """Start a worker; return its table after so many reads of the store."""

        async def run() -> ModelTable:
            read = self.store or (lambda: self.routes)
            watcher = RouteWatcher(read, LoadedModels(self.cache), self.folder, no_prompts())
            await watcher.start()
            for _ in range(rounds - 1):
                await watcher.refresh()
                await asyncio.sleep(0.2)
            watcher.close()
            return watcher.table

        return asyncio.run(run())

    def restart(self, *routes: Route) -> RouteState:
        """Start a worker beside a store with these routes; return the state of `towns`."""
        self.routes = list(routes)
        return self.start().entries["towns"].state


@pytest.fixture
def replica(tmp_path: Path, models: ModelCache, towns: Any) -> Replica:
    folder = tmp_path / "gateway"
    folder.mkdir()
    return Replica(folder, models, towns)


def serving(table: ModelTable) -> dict[str, int | None]:
    return {
        name: entry.champion.version if entry.champion else None
        for name, entry in table.entries.items()
    }


def test_after_a_restart_the_last_good_version_serves_while_the_wanted_one_is_not_there(
    replica: Replica,
) -> None:
    replica.keep("towns", [1])
    replica.routes = [Route("towns", 1)]
    assert serving(replica.start(rounds=2)) == {"towns": 1}
    assert read_served(replica.folder) == {"towns": 1}
    replica.routes = [Route("towns", 2, epoch=2)]
    replica.cache.note_problem("towns", 2, "the registry is away")
    for _ in range(2):  # what served last is not forgotten by the restart itself
        table = replica.start(rounds=2)
        assert serving(table) == {"towns": 1}
        entry = table.entries["towns"]
        assert entry.wanted == 2
        assert entry.wanted_reason == "v2 cannot be fetched: the registry is away"
    replica.keep("towns", [2])
    assert serving(replica.start(rounds=2)) == {"towns": 2}
    assert read_served(replica.folder) == {"towns": 2}


def test_a_refused_version_is_told_with_its_reason_and_the_last_good_one_serves(
    replica: Replica,
) -> None:
    replica.keep("towns", [1])
    replica.routes = [Route("towns", 1)]
    replica.start(rounds=2)
    replica.cache.publish(CacheEntry("towns", 2, refused="its answers differ"))
    replica.routes = [Route("towns", 2, epoch=2)]
    table = replica.start()
    assert serving(table) == {"towns": 1}
    assert table.entries["towns"].wanted_reason == "v2 was refused: its answers differ"


def test_a_last_good_version_does_not_serve_where_nothing_says_that_it_may(
    replica: Replica,
) -> None:
    replica.keep("towns", [1])
    replica.routes = [Route("towns", 1)]
    replica.start(rounds=2)
    replica.keep("towns", [1], admitted="")  # as an earlier Sluice fetched it
    replica.routes = [Route("towns", 2, epoch=2)]
    assert serving(replica.start(rounds=2)) == {"towns": None}
    assert replica.cache.find("towns", 1) is None


def test_a_service_without_a_model_makes_no_other_wait(replica: Replica) -> None:
    replica.keep("towns", [1])
    replica.routes = [Route("absent", 1), Route("towns", 1)]
    began = time.monotonic()
    assert serving(replica.start()) == {"absent": None, "towns": 1}
    assert time.monotonic() - began < slowed(START_SECONDS / 2)


def test_a_version_whose_files_break_a_library_stops_no_other(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.models import loading

    load = loading.load_cached

    def break_first(cache: ModelCache, entry: CacheEntry) -> Any:
        if entry.service == "broken":
            raise RecursionError("maximum recursion depth exceeded")
        return load(cache, entry)

    monkeypatch.setattr(loading, "load_cached", break_first)
    replica.keep("broken", [1])
    replica.keep("towns", [1])
    replica.routes = [Route("broken", 1), Route("towns", 1)]
    table = replica.start()
    assert serving(table) == {"broken": None, "towns": 1}
    assert "recursion" in table.entries["broken"].missing


def test_a_store_that_cannot_be_read_is_told_and_the_last_routes_serve(replica: Replica) -> None:
    replica.keep("towns", [1])
    replica.routes = [Route("towns", 1)]
    assert replica.start().store_problem == ""

    def fail() -> list[Route]:
        raise ControlUnavailable("control store: listing routes: database is locked")

    replica.store = fail
    table = replica.start()
    assert serving(table) == {"towns": 1}
    assert "database is locked" in table.store_problem


def test_a_store_that_hangs_is_not_waited_for_where_the_last_routes_are_known(
    replica: Replica,
) -> None:
    replica.keep("towns", [1])
    replica.routes = [Route("towns", 1)]
    replica.start()
    ended = threading.Event()

    def hang() -> list[Route]:
        ended.wait(300)
        return []

    replica.store = hang

    async def run() -> None:
        watcher = RouteWatcher(hang, LoadedModels(replica.cache), replica.folder, no_prompts())
        try:
            async with asyncio.timeout(120):
                await watcher.start()
            assert serving(watcher.table) == {"towns": 1}
        finally:
            ended.set()
            watcher.close()

    asyncio.run(run())


def test_a_worker_that_starts_again_keeps_its_route_beside_an_older_store(replica: Replica) -> None:
    assert replica.restart(Route("towns", 3, epoch=7)).champion == 3
    for _ in range(2):  # the second start reads what the first one kept
        state = replica.restart(Route("towns", 1, epoch=2))
        assert (state.champion, state.stale) == (3, 2)
        assert "shows epoch 2, this replica knows epoch 7" in state.conflict


def test_a_store_without_the_route_takes_no_service_away(replica: Replica) -> None:
    replica.keep("towns", [3])
    replica.restart(Route("towns", 3, epoch=7))
    state = replica.restart()
    assert state.champion == 3
    assert "shows no route" in state.conflict
    table = replica.start(rounds=2)
    assert serving(table) == read_served(replica.folder) == {"towns": 3}
    assert table.store_problem == "", "it was read; that it is older is the conflict"


def test_a_later_epoch_counts_after_a_restart(replica: Replica) -> None:
    replica.restart(Route("towns", 3, epoch=7))
    state = replica.restart(Route("towns", 1, epoch=8))
    assert (state.champion, state.conflict) == (1, "")


def test_a_conflict_is_logged(replica: Replica, caplog: pytest.LogCaptureFixture) -> None:
    replica.restart(Route("towns", 3, epoch=7))
    with caplog.at_level(logging.WARNING, "sluice.gateway"):
        replica.restart(Route("towns", 1, epoch=2))
    assert "towns: conflict: the control store shows epoch 2" in caplog.text
