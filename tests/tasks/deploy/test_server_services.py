"""The background services of the Prefect server look for due work rarely."""

from datetime import timedelta

import pytest
from docket import Docket, Worker
from prefect.server.api import background_workers

from tasks.deploy.server import LOOK_SECONDS, look_rarely


def test_a_worker_of_the_server_looks_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_workers, "Worker", Worker)
    look_rarely()
    worker = background_workers.Worker(Docket(url="memory://rarely"))
    pauses = {worker.scheduling_resolution, worker.minimum_check_interval}
    assert pauses == {timedelta(seconds=LOOK_SECONDS)}
