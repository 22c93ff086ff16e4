"""With `SLUICE_LOG=json` all processes of the gateway write lines of JSON, the access log too."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from serving.log.log_writer import LogShipper
from sluice.adapters.traffic.log import read_log
from sluice.config.serving import TrafficLogConfig
from support.gateway.site import Site, run_gateway, wait_until
from support.gateway.towns import Towns

pytestmark = pytest.mark.slow
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_line_of_a_replica_is_json(tmp_path: Path, towns: Towns) -> None:
    site = Site(tmp_path, access_log={"level": "all"}, workers=1)
    site.serve("towns", towns.folder)
    path = tmp_path / "sluice.jsonl"
    record = {"size": 51.5, "town": "Nowhere", "here": True}
    body = {"inputs": record, "request_id": "asked"}
    with run_gateway(site, "--no-fetcher", SLUICE_LOG=f"json:{path}") as running:
        running.await_champion("towns")
        assert running.ask("/v1/models/towns:predict", body, PARENT).status == 200
        wait_until(lambda: any(line["logger"] == "sluice.access" for line in read_lines(path)))
        (worker,) = running.workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: any("restart" in line["message"] for line in read_lines(path)))
        wait_until(lambda: any(line["process"] == "log-writer" for line in read_lines(path)))
    lines = read_lines(path)
    for line in lines:
        assert {"time", "level", "process", "logger", "message"} <= set(line)
    assert {"gateway", "log-writer"} <= {line["process"] for line in lines}
    (access,) = (line for line in lines if line["logger"] == "sluice.access")
    assert (access["request_id"], access["trace_id"]) == ("asked", TRACE)
    assert (access["service"], access["version"], access["arm"]) == ("towns", 1, "champion")
    assert access["process"].startswith("worker ")
    assert "inputs" not in access
    assert not any(word in path.read_text() for word in ("Nowhere", "51.5", "probabilities"))
    LogShipper(site.home, TrafficLogConfig()).ship(0.0, all_of_it=True)
    logged = read_log(site.home.answers("towns"), ["request_id", "trace_id"])
    assert logged is not None
    assert logged.to_pylist() == [{"request_id": "asked", "trace_id": TRACE}]
