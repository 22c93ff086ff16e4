"""A receiver of OpenLineage events, which reads them back with the client's own classes."""

import importlib
import json
import pkgutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse
from uuid import UUID

import attr


@dataclass
class Receiver:
    """The address of a receiver, and what it got; it answers with `status` after `delay` s."""

    url: str = ""
    status: int = 201
    delay: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Path and authorization of each request."""

    def list_types(self) -> list[str]:
        return [item["eventType"] for item in self.events]


@contextmanager
def receive_events(status: int = 201, delay: float = 0.0) -> Iterator[Receiver]:
    """Receive events on loopback while the block runs."""
    found = Receiver(status=status, delay=delay)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(found.delay)
            found.requests.append((self.path, self.headers.get("Authorization", "")))
            found.events.append(json.loads(body))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def read_event(values: dict[str, Any]) -> Any:
    """Build the client's own event of what was received, every facet included.

    A field that the client's classes do not have, or one that they need and that is missing, is an
    error.
    """
    from openlineage.client import event_v2 as client

    values = {**values}
    run, job = values.pop("run"), values.pop("job")
    for key in ("inputs", "outputs"):
        kind = client.InputDataset if key == "inputs" else client.OutputDataset
        values[key] = [kind(**_read_dataset(item)) for item in values[key]]
    schema = values.pop("schemaURL")
    event = client.RunEvent(
        run=client.Run(run["runId"], _read_facets(run.get("facets", {}))),
        job=client.Job(job["namespace"], job["name"], _read_facets(job.get("facets", {}))),
        **{**values, "eventType": client.RunState(values["eventType"])},
    )
    assert event.schemaURL == schema
    return event


def check_required(values: dict[str, Any]) -> None:
    """Check what the published specification (2-0-2, RunEvent) requires of an event."""
    from datetime import datetime

    assert {"eventTime", "producer", "schemaURL", "run", "job"} <= set(values)
    assert datetime.fromisoformat(values["eventTime"]).tzinfo is not None
    assert values["eventType"] in {"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"}
    for uri in (values["producer"], values["schemaURL"]):
        assert urlparse(uri).scheme
    UUID(values["run"]["runId"])
    assert values["job"]["namespace"]
    assert values["job"]["name"]
    holders = [values["run"], values["job"], *values["inputs"], *values["outputs"]]
    for item in (*values["inputs"], *values["outputs"]):
        assert item["namespace"]
        assert item["name"]
    for holder in holders:
        for key in ("facets", "inputFacets", "outputFacets"):
            for facet in holder.get(key, {}).values():
                assert {"_producer", "_schemaURL"} <= set(facet)


def _read_dataset(values: dict[str, Any]) -> dict[str, Any]:
    facets = {
        key: _read_facets(values[key])
        for key in ("facets", "inputFacets", "outputFacets")
        if key in values
    }
    return {**values, **facets}


def _read_facets(facets: dict[str, Any]) -> dict[str, Any]:
    return {key: _read_facet(value) for key, value in facets.items()}


def _read_facet(values: dict[str, Any]) -> Any:
    known = _list_facets()
    name = values["_schemaURL"].rpartition("/")[2]
    kind = known[name]
    fields = {item.name for item in attr.fields(kind)}
    needed = {item.name for item in attr.fields(kind) if item.default is attr.NOTHING}
    assert set(values) <= fields, (name, set(values) - fields)
    assert needed - {"_producer", "_schemaURL"} <= set(values), (name, needed)
    assert values["_schemaURL"] == kind._get_schema()
    return kind(**{key: value for key, value in values.items() if not key.startswith("_")})


def _list_facets() -> dict[str, Any]:
    from openlineage.client import generated

    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        loaded = importlib.import_module(f"{generated.__name__}.{module.name}")
        found |= {name: item for name, item in vars(loaded).items() if name.endswith("Facet")}
    return found
