"""The gateway of this checkout beside that of another one: processor time per request.

`python -m benchmarks.hot_paths --against FOLDER [--rounds 15] [--seconds 1.5]`. FOLDER is a
checkout with its own `.venv` (`make install`), such as one of the version before a change. Both
gateways run with one worker each, and take turns in every round, as does an empty handler. The
processor time of a candidate's request is what its share of the requests adds.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import hot_path
from benchmarks.harness.processes import Server, run_load, run_server
from benchmarks.harness.results import Row, report
from benchmarks.serving import plain_server
from cli.output import say

HERE = Path(__file__).resolve().parents[1]
WORKER = "worker"
CONNECTIONS = 32
CANDIDATE_US, SHARE_OF_EMPTY = 500.0, 0.25
SAMPLES = 2000
SLOWER = 0.05
"""Share by which the worker's processor time may be above that of the other checkout: noise."""


@dataclass
class Target:
    """One gateway, or the empty handler, and its processor time per request in each round."""

    name: str
    server: Server
    services: dict[str, dict[str, Any]]
    spent: dict[str, list[float]] = field(default_factory=dict)
    """By service, in microseconds: the worker's."""
    spent_in_all: dict[str, list[float]] = field(default_factory=dict)
    """The same of all processes, the log-writer's too."""

    def measure(self, service: str, seconds: float) -> None:
        """Load a service for so long; any status but 200 ends the benchmark."""
        before = self._read_cpu()
        file = Path(self.services[service]["file"])
        found = run_load(self.server.port, file, connections=CONNECTIONS, seconds=seconds)
        after = self._read_cpu()
        if set(found["statuses"]) != {"200"}:
            raise RuntimeError(f"{self.name} answered {found['statuses']}")
        pairs = zip(before, after, strict=True)
        worker, whole = (1e6 * (b - a) / found["answered"] for a, b in pairs)
        self.spent.setdefault(service, []).append(worker)
        self.spent_in_all.setdefault(service, []).append(whole)
        say(f"  {service:6s} {self.name:14s} {worker:6.0f} us, with all processes {whole:.0f}")

    def time_candidate(self, service: str) -> list[float]:
        """Return the microseconds of a candidate's request, from many samples of the rounds.

        It is a small difference of two figures with noise: each sample has medians of its own.
        """
        share = self.services[service]["share"]
        plain, mixed = np.array(self.spent["none"]), np.array(self.spent[service])
        chosen = np.random.default_rng(1).integers(0, len(plain), (SAMPLES, len(plain)))
        middle = np.median(plain[chosen], axis=1)
        found = middle + (np.median(mixed[chosen], axis=1) - middle) / share
        return [float(item) for item in found]

    def _read_cpu(self) -> tuple[float, float]:
        return self.server.cpu_seconds(WORKER), self.server.cpu_seconds()


class Known:
    """A process that another one started, in the place of its handle."""

    def __init__(self, pid: int) -> None:
        self.pid = pid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, required=True, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, other = Path(name), arguments.against.resolve()
        say("### models are fitted and registered, servers start")
        ours = stack.enter_context(run_checkout("this checkout", HERE, folder / "ours"))
        before = stack.enter_context(run_checkout("the other one", other, folder / "before"))
        words = plain_server("benchmarks.harness.empty_handler:app", folder)
        server = stack.enter_context(run_server(*words))
        empty = Target("empty handler", server, {"none": ours.services["none"]})
        order = [(name, target) for name in hot_path.WEIGHTS for target in (before, ours)]
        order = [("none", empty), *order]
        for service, target in order:
            run_load(
                target.server.port,
                Path(target.services[service]["file"]),
                connections=CONNECTIONS,
                seconds=1.0,
            )
        for number in range(arguments.rounds):
            say(f"### round {number + 1} of {arguments.rounds}")
            for service, target in order if number % 2 else order[::-1]:
                target.measure(service, arguments.seconds)
    notes = {"rounds": arguments.rounds, "seconds a measurement": arguments.seconds}
    notes |= {"the other checkout": describe(other), "this checkout": describe(HERE)}
    notes |= {"load of the machine at the end": os.getloadavg()[0]}
    report("hot_paths", list(list_rows(before, ours, empty)), notes)


@contextmanager
def run_checkout(name: str, root: Path, folder: Path) -> Iterator[Target]:
    """Run a checkout's gateway by its own interpreter, with models that it made itself."""
    folder.mkdir()
    python = root / ".venv" / "bin" / "python"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [python, hot_path.__file__, folder],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{root}: {(folder / 'log').read_text()[-3000:]}")
        facts = json.loads(line)
        known: Any = Known(facts["pid"])
        yield Target(name, Server(known, facts["port"], folder / "log"), facts["services"])
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def list_rows(before: Target, ours: Target, empty: Target) -> Iterator[Row]:
    """Yield the figures of all rounds; ratios and differences are within a round."""
    for target in (before, ours):
        for service, weight in hot_path.WEIGHTS.items():
            name = f"{target.name}, candidate at {weight:.0%}"
            yield from show(f"{name}: the worker", target.spent[service], "us a request")
            yield from show(f"{name}: all processes", target.spent_in_all[service], "us a request")
    yield from show("empty handler", empty.spent_in_all["none"], "us a request")
    for service, weight in hot_path.WEIGHTS.items():
        ratios = divide(ours.spent[service], before.spent[service])
        name = f"candidate at {weight:.0%}: this checkout to the other one, the worker"
        yield from show(name, ratios, "times", 1 + SLOWER)
    for service in ("split", "half"):
        weight = hot_path.WEIGHTS[service]
        for target in (before, ours):
            limit = CANDIDATE_US if target is ours and service == "split" else None
            name = f"{target.name}, a candidate's request, at {weight:.0%}"
            samples = target.time_candidate(service)
            low, middle, high = (float(item) for item in np.percentile(samples, (2.5, 50, 97.5)))
            yield Row(name, middle, "us", limit)
            yield Row("  at least", low, "us")
            yield Row("  at most", high, "us")
    shares = divide(empty.spent_in_all["none"], ours.spent_in_all["split"])
    name = "empty handler to this checkout with a candidate at 5%, all processes"
    yield from show(name, shares, "share", SHARE_OF_EMPTY, at_least=True)


def divide(some: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [a / b for a, b in zip(some, others, strict=True)]


def show(
    name: str,
    values: Sequence[float],
    unit: str,
    target: float | None = None,
    at_least: bool = False,
) -> Iterator[Row]:
    """Yield the median of all rounds, and its interval of at least 95 %, by the sign test."""
    from scipy.stats import binom

    ordered, n = sorted(values), len(values)
    place = max(int(binom.ppf(0.025, n, 0.5)) - 1, 0)
    yield Row(name, median(ordered), unit, target, at_least)
    yield Row("  at least", ordered[place], unit)
    yield Row("  at most", ordered[n - 1 - place], unit)


def describe(root: Path) -> str:
    """Return the commit of a checkout; `+` where files differ from it."""
    words = ["git", "-C", str(root), "describe", "--always", "--dirty=+"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
