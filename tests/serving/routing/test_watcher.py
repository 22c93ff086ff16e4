"""What a worker makes of a control store that was restored from an older copy."""

import asyncio
import logging
from pathlib import Path

import pytest

from serving.models.cache import ModelCache
from serving.models.loading import LoadedModels
from serving.routing.model_table import RouteState
from serving.routing.watcher import RouteWatcher
from sluice.control.route import Route


class Worker:
    """One worker's watcher beside a store whose routes a test chooses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.routes: list[Route] = []

    def refresh(self, *routes: Route) -> RouteState:
        """Start again, read these routes once, and return the state of the service."""
        self.routes = list(routes)
        return asyncio.run(self._refresh())

    async def _refresh(self) -> RouteState:
        models = LoadedModels(ModelCache(self.folder / "models"))
        watcher = RouteWatcher(lambda: self.routes, models, self.folder)
        watcher._restore()
        await watcher.refresh()
        watcher.close()
        return watcher.table.entries["town"].state


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def test_a_worker_that_starts_again_keeps_its_route_beside_an_older_store(worker: Worker) -> None:
    assert worker.refresh(Route("town", 3, epoch=7)).champion == 3
    for _ in range(2):  # the second start reads what the first one kept
        state = worker.refresh(Route("town", 1, epoch=2))
        assert (state.champion, state.stale) == (3, 2)
        assert "shows epoch 2, this replica knows epoch 7" in state.conflict


def test_a_store_without_the_route_takes_no_service_away(worker: Worker) -> None:
    worker.refresh(Route("town", 3, epoch=7))
    state = worker.refresh()
    assert state.champion == 3
    assert "shows no route" in state.conflict


def test_a_later_epoch_counts_after_a_restart(worker: Worker) -> None:
    worker.refresh(Route("town", 3, epoch=7))
    state = worker.refresh(Route("town", 1, epoch=8))
    assert (state.champion, state.conflict) == (1, "")


def test_a_conflict_is_logged(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    worker.refresh(Route("town", 3, epoch=7))
    with caplog.at_level(logging.WARNING, "sluice.gateway"):
        worker.refresh(Route("town", 1, epoch=2))
    assert "town: conflict: the control store shows epoch 2" in caplog.text
