"""The registry server down for half a minute: the champion serves on, the next one comes later."""

from pathlib import Path

import pytest

from sluice.adapters.registry.client import open_registry
from support.gateway.callers import run_load
from support.gateway.models import register_towns
from support.gateway.site import Site, read_answers, run_gateway, wait_until
from support.gateway.towns import Towns
from support.servers.outages import run_registry_server
from support.servers.ports import find_free_port

pytestmark = [pytest.mark.slow, pytest.mark.faults]
DOWN_SECONDS = 30.0


def test_while_the_registry_is_down_the_champion_serves_and_then_the_next_one(
    tmp_path: Path, towns: Towns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    site = Site(tmp_path)
    registry = open_registry(site.home)
    registry.prepare()
    for _ in range(2):
        register_towns(registry, towns, "towns")
    site.route("towns")
    port = find_free_port()
    with run_registry_server(site.home, port, tmp_path / "mlflow.log") as restart_after:
        address = f"http://127.0.0.1:{port}"
        with run_gateway(site, "--no-log-writer", MLFLOW_TRACKING_URI=address) as gateway:
            gateway.await_champion("towns")
            with run_load([gateway.port], "towns", pause=0.02) as load:
                wait_until(lambda: len(load.replies) > 50)
                site.route("towns", champion=2)
                restart_after(DOWN_SECONDS)
                assert {item.body["version"] for item in load.replies} == {1}
                wait_until(lambda: load.replies[-1].body["version"] == 2)
            assert load.statuses == {200}
            assert load.broken == load.refused == 0
            assert gateway.end() == 0
            logged = [item.request_id for item in read_answers(gateway.folder, "towns")]
    assert len(logged) == len(set(logged))
    assert set(logged) == load.ids
