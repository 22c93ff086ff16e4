"""A Prefect server that is down while a loss is found: nothing is lost, one release starts."""

from pathlib import Path
from typing import Any

import pytest

from support.releases.runs import write_service
from support.releases.sources import OLD
from support.rollouts.live import register_versions, serve_first
from support.servers.outages import run_stack, start_server
from support.servers.stack import ask, find_runs

pytestmark = [pytest.mark.slow, pytest.mark.faults]

DROP: dict[str, Any] = {"metric": "accuracy", "baseline": 0.79, "value": 0.71, "version": 1}


def test_a_loss_found_while_the_server_is_down_starts_one_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.watch import watch
    from sluice.adapters.registry.client import open_registry
    from support.releases.sources import use_folder
    from tasks.run.events import publish_event

    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    with run_stack(tmp_path, ("release",)) as stack:
        use_folder(tmp_path / "configs", monkeypatch)
        free = ("\nserving: auto ", "\nretrain: {minimum_labels: 0}\n\nserving: auto ")
        write_service(tmp_path / "configs", "employment", OLD, free)
        fill(stack.home)
        registry = open_registry(stack.home)
        register_versions(registry, "employment", 1)
        control = serve_first(stack.home, registry, "employment")
        stack.kill_server()
        publish_event("employment", "performance.dropped", DROP)
        assert [item.subject for item in control.retrainings.list_open("employment")] == [
            "performance measured"
        ]
        start_server(stack.home, stack.port)
        states = [watch("employment", return_state=True) for _ in range(2)]
        assert "starts a release of data v0" in states[0].message
        assert states[1].name == "Skipped"
        release = ask(lambda client: client.read_deployment(stack.deployments["release"]))
        (run,) = find_runs(release)
        assert run.parameters["cause"] == "performance.dropped: accuracy 0.71 against 0.79"


def fill(home: Any) -> None:
    """Write a first data version that counts as announced."""
    from sluice.adapters.control.store import prepare_control
    from sluice.adapters.tables.delta import append_batch
    from sluice.adapters.tables.files import read_batch
    from sluice.config.loading import load_service
    from support.releases.sources import rows_of

    config = load_service("employment", "development")
    file = home.root / "first.parquet"
    rows_of(2015, 600).to_parquet(file, index=False)
    append_batch(home.table("employment"), read_batch(file, config.data), {}, config.data.id)
    marks = prepare_control(home).watermarks
    seen = marks.find("employment", "data version")
    assert marks.move(seen, seen.settle("v0"))
