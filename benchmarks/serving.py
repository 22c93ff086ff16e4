"""The gateway, `mlflow models serve` and an empty handler, with the same model and rows.

`python -m benchmarks.serving [--rounds 5] [--seconds 3]`. All servers run with one worker each
and take turns in every round. The gateway splits its traffic (a candidate at 5 %), counts, and
logs every answer; the cost of its log-writer is included.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness.load import MARK, write_requests
from benchmarks.harness.processes import Server, find_port, run_load, run_server
from benchmarks.harness.request_cost import measure_steps
from benchmarks.harness.results import Row, report
from benchmarks.harness.served import SERVICE, Served, prepare_home
from cli.output import say
from sluice.home import find_home

NATIVE = "employment-trained"
LOG_WRITER = "serving.log.log_writer"
WEIGHT = 0.05
CONNECTIONS = (1, 8, 32)
COMPARED = 32
LESS_CPU = {"gateway, ONNX": 60.0, "gateway, native model": 10.0}
SHARE_OF_EMPTY = 0.4


@dataclass
class Target:
    """A server under measurement: its processes, and the requests that it gets."""

    name: str
    server: Server
    requests: Path
    seconds: float
    figures: dict[int, list[tuple[float, float, float, float]]] = field(default_factory=dict)
    """By connections: processor time per request in microseconds, requests per second, p99 in ms,
    and the part of the log-writer in the first."""

    def measure(self, connections: int) -> None:
        """Run load for a while and keep the figures; any status but 200 ends the benchmark."""
        before, logging = self.server.cpu_seconds(), self.server.cpu_seconds(LOG_WRITER)
        found = run_load(
            self.server.port, self.requests, connections=connections, seconds=self.seconds
        )
        spent = self.server.cpu_seconds() - before
        logging = self.server.cpu_seconds(LOG_WRITER) - logging
        if set(found["statuses"]) != {"200"}:
            raise RuntimeError(f"{self.name} answered {found['statuses']}")
        each = 1e6 / found["answered"]
        figures = (each * spent, found["rps"], found["p99"], each * logging)
        self.figures.setdefault(connections, []).append(figures)
        shown = "{:8.0f} us a request, {:7.0f} requests/s, p99 {:.1f} ms".format(*figures)
        say(f"  {self.name:24s} c={connections:<3d} {shown}")

    def take(self, connections: int, place: int) -> list[float]:
        """Return one figure of all rounds."""
        return [figures[place] for figures in self.figures[connections]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SLUICE_HOME"] = str(Path(folder) / "home")
        served = prepare_home(find_home())
        with run_targets(served, Path(folder), arguments.seconds) as targets:
            for number in range(arguments.rounds):
                say(f"### round {number + 1} of {arguments.rounds}")
                for connections in CONNECTIONS:
                    for target in targets:
                        target.measure(connections)
            route = served.control.routes.find(SERVICE)
        bodies = [body.encode() for body in build_bodies(served)]
        steps = measure_steps(served.home, route, bodies, Path(folder))
    report("serving", [*list_rows(targets), *compare(targets), *steps], describe(arguments))


@contextmanager
def run_targets(served: Served, folder: Path, seconds: float) -> Iterator[list[Target]]:
    """Start all servers, and warm them up."""
    say("### a model is fitted and registered, servers start")
    for service, form in ((SERVICE, "onnx"), (NATIVE, "sklearn")):
        for _ in ("champion", "candidate"):
            served.register(folder, service, form)  # type: ignore[arg-type]
    with ExitStack() as stack:
        for service in (SERVICE, NATIVE):
            route = served.set_route(
                service, 1, candidate=2, weight=WEIGHT, mode="canary", arm_timeout_ms=5000.0
            )
            stack.enter_context(served.renew(route))
        gateway = stack.enter_context(run_gateway(folder, workers=1))
        empty = stack.enter_context(
            run_server(*plain_server("benchmarks.harness.empty_handler:app", folder))
        )
        mlflow = stack.enter_context(run_mlflow(served, folder))
        bodies = build_bodies(served)
        files = {}
        for service in (SERVICE, NATIVE):
            files[service] = folder / f"{service}.txt"
            write_requests(files[service], f"/v1/models/{service}:predict", bodies)
        frames = folder / "mlflow.txt"
        records = served.held.records
        write_requests(frames, "/invocations", [f'{{"dataframe_records":[{r}]}}' for r in records])
        targets = [
            Target("empty handler", empty, files[SERVICE], seconds),
            Target("gateway, ONNX", gateway, files[SERVICE], seconds),
            Target("gateway, native model", gateway, files[NATIVE], seconds),
            Target("mlflow models serve", mlflow, frames, seconds),
        ]
        for service in (SERVICE, NATIVE):
            gateway.await_page(f"/v1/models/{service}:predict", bodies[0])
        for target in targets:
            run_load(target.server.port, target.requests, connections=8, seconds=3)
        yield targets


def build_bodies(served: Served) -> list[str]:
    """Return a request for each held-out row, with MARK in the place of its id."""
    return [
        f'{{"inputs":{record},"request_id":"{MARK}","unit":"u{place}"}}'
        for place, record in enumerate(served.held.records)
    ]


@contextmanager
def run_gateway(folder: Path, workers: int) -> Iterator[Server]:
    """Run a replica: supervisor, workers, fetcher and log-writer."""
    port = find_port()
    command = ["-m", "serving", f"--port={port}", f"--workers={workers}"]
    with run_server(command, port, folder / "gateway.log", "/readyz") as server:
        yield server


def plain_server(app: str, folder: Path) -> tuple[list[str], int, Path, str]:
    """Return the command of an application under the gateway's HTTP server and settings."""
    port = find_port()
    words = f"-m uvicorn {app} --port {port} --loop uvloop --http httptools --no-access-log"
    return [*words.split(), "--log-level=warning"], port, folder / "empty.log", "/"


@contextmanager
def run_mlflow(served: Served, folder: Path) -> Iterator[Server]:
    """Serve the same model by MLflow's own command, in this environment, one worker."""
    version = served.registry.find_alias(SERVICE, "champion")
    if version is None:
        raise RuntimeError("the registry has no champion")
    model = served.registry.download_model(version, folder / "mlflow")
    port = find_port()
    words = f"-m mlflow models serve -m {model} --env-manager local -w 1 -p {port}".split()
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it runs `uvicorn`
    with run_server(words, port, folder / "mlflow.log", "/ping", PATH=places) as server:
        yield server


def list_rows(targets: list[Target]) -> Iterator[Row]:
    """Yield the medians of all rounds."""
    for connections in CONNECTIONS:
        for target in targets:
            name = f"{target.name}, c={connections}"
            cpu, rate, slow, log = (median(target.take(connections, place)) for place in range(4))
            yield Row(f"{name}: processor", cpu, "us a request")
            if log:
                yield Row(f"{name}: of it the log-writer", log, "us a request")
            yield Row(f"{name}: rate", rate, "requests/s")
            yield Row(f"{name}: p99", slow, "ms")


def compare(targets: list[Target]) -> Iterator[Row]:
    """Yield the ratios that have targets, each within its round."""
    known = {target.name: target.take(COMPARED, 0) for target in targets}
    for name, target in LESS_CPU.items():
        pairs = zip(known["mlflow models serve"], known[name], strict=True)
        least = min(theirs / ours for theirs, ours in pairs)
        yield Row(
            f"{name}, c={COMPARED}: less processor than mlflow, worst round",
            *(least, "times", target),
            at_least=True,
        )
    pairs = zip(known["empty handler"], known["gateway, ONNX"], strict=True)
    share = median(empty / ours for empty, ours in pairs)
    yield Row(
        f"gateway, ONNX, c={COMPARED}: processor of an empty handler to ours",
        *(share, "share", SHARE_OF_EMPTY),
        at_least=True,
    )


def describe(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the conditions of the measurement."""
    return {
        "rounds": arguments.rounds,
        "seconds a measurement": arguments.seconds,
        "service": json.dumps({"rows": SERVICE, "candidate's weight": WEIGHT, "workers": 1}),
        "left out": "BentoML",
        "load of the machine at the end": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
