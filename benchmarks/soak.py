"""The gateway at half of its capacity for long: latency, memory and file handles must stay flat.

`python -m benchmarks.soak [--seconds 600]`. The capacity is measured first. Each series has one
value per second; it is *flat* when the 95 % interval of its growth over the whole run lies below a
limit, *growing* when it lies above it, and otherwise *not proved*.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.load import write_requests
from benchmarks.harness.processes import Server, run_load
from benchmarks.harness.results import Row, report
from benchmarks.harness.served import SERVICE, prepare_home
from benchmarks.serving import build_bodies, run_gateway
from cli.output import say
from sluice.home import find_home

WORKERS, CONNECTIONS = 2, 64
SETTLE = 0.1
"""Share of the run that is left out at its start."""
BLOCKS = 20
LIMITS = {"p50 ms": 0.15, "p99 ms": 0.25, "p99.9 ms": 0.5, "memory MB": 0.05, "handles": 0.05}
"""Growth over the run, as a share of the mean, below which a series is flat."""
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "soak.png"
Series = NDArray[np.float64]


@dataclass(frozen=True)
class Growth:
    """Growth of a series over the run, as a share of its mean, with its 95 % interval."""

    name: str
    mean: float
    share: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """The verdict: `flat`, `growing` or `not proved`."""
        limit = LIMITS[self.name]
        if self.high <= limit:
            return "flat"
        return "growing" if self.low > limit else "not proved"


def measure_growth(name: str, seconds: Series, values: Series) -> Growth:
    """Fit a line through the medians of equal blocks, robust to correlated neighbours."""
    from scipy.stats import linregress, t

    keep = seconds >= SETTLE * seconds.max()
    blocks = min(BLOCKS, max(int(keep.sum()) // 3, 3))
    middles = [np.median(part) for part in np.array_split(values[keep], blocks)]
    times = [np.mean(part) for part in np.array_split(seconds[keep], blocks)]
    span, mean = float(np.ptp(seconds[keep])), float(np.mean(middles))
    if not np.ptp(middles):
        return Growth(name, mean, 0.0, 0.0, 0.0)
    line = linregress(times, middles)
    reach = float(t.ppf(0.975, blocks - 2)) * float(line.stderr)
    scale = span / mean if mean else 0.0
    slope = float(line.slope)
    return Growth(name, mean, slope * scale, (slope - reach) * scale, (slope + reach) * scale)


@contextmanager
def watch(gateway: Server) -> Iterator[list[tuple[float, float, float]]]:
    """Record time, memory and handles of a gateway about once a second."""
    ended, began = threading.Event(), time.monotonic()
    rows: list[tuple[float, float, float]] = []

    def note() -> None:
        while not ended.wait(1.0):
            memory, handles = gateway.count_memory(), gateway.count_handles()
            rows.append((time.monotonic() - began, memory, handles))
            if len(rows) % 30 == 0:
                say(f"  {rows[-1][0]:.0f} s: {memory:.0f} MB, {handles} handles")

    thread = threading.Thread(target=note, daemon=True)
    thread.start()
    try:
        yield rows
    finally:
        ended.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        os.environ["SLUICE_HOME"] = str(Path(folder) / "home")
        served = prepare_home(find_home())
        for _ in ("champion", "candidate"):
            served.register(Path(folder), SERVICE, "onnx")
        route = served.set_route(SERVICE, 1, candidate=2, weight=0.05, mode="canary")
        stack.enter_context(served.renew(route))
        gateway = stack.enter_context(run_gateway(Path(folder), WORKERS))
        bodies = build_bodies(served)
        requests = Path(folder) / "requests.txt"
        write_requests(requests, f"/v1/models/{SERVICE}:predict", bodies)
        gateway.await_page(f"/v1/models/{SERVICE}:predict", bodies[0])
        capacity = run_load(gateway.port, requests, connections=CONNECTIONS, seconds=8)["rps"]
        say(f"### {capacity:,.0f} requests/s at most; half of that for {seconds:g} s")
        with watch(gateway) as watched:
            found = run_load(
                gateway.port,
                requests,
                connections=CONNECTIONS,
                seconds=seconds,
                rps=capacity / 2,
                rows=True,
            )
    series = collect(found["rows"], watched)
    growths = [measure_growth(name, *values) for name, values in series.items() if name in LIMITS]
    report("soak", list_rows(found, capacity, growths), describe(found, seconds, growths))
    draw(series, growths, capacity)


def collect(
    answers: list[list[float]], watched: list[tuple[float, float, float]]
) -> dict[str, tuple[Series, Series]]:
    """Return each series as seconds and values."""
    times, samples = np.array(answers), np.array(watched)
    columns = {"answers": 1, "p50 ms": 2, "p99 ms": 3, "p99.9 ms": 4}
    found = {name: (times[:, 0], times[:, place]) for name, place in columns.items()}
    moments, memory, handles = samples.T
    return {**found, "memory MB": (moments, memory), "handles": (moments, handles)}


def list_rows(found: dict[str, Any], capacity: float, growths: list[Growth]) -> list[Row]:
    errors = sum(count for status, count in found["statuses"].items() if status != "200")
    rows = [
        Row("capacity", capacity, "requests/s"),
        Row("sent", found["sent"], "requests"),
        Row("not answered with 200", errors, "requests", 0),
        Row("p50", found["p50"], "ms"),
        Row("p99", found["p99"], "ms"),
        Row("p99.9", found["p999"], "ms"),
    ]
    for growth in growths:
        rows.append(Row(f"{growth.name}: mean", growth.mean, growth.name.partition(" ")[2]))
        limit = LIMITS[growth.name]
        rows.append(Row(f"{growth.name}: growth over the run", growth.share, "share of the mean"))
        rows.append(Row(f"{growth.name}: upper end of its growth", growth.high, "share", limit))
    return rows


def describe(found: dict[str, Any], seconds: float, growths: list[Growth]) -> dict[str, Any]:
    for growth in growths:
        shown = f"{growth.share:+.1%} [{growth.low:+.1%}, {growth.high:+.1%}]"
        say(f"  {growth.name}: {growth.verdict}: {shown} over the run")
    return {
        "seconds": seconds,
        "workers": WORKERS,
        "statuses": found["statuses"],
        "verdicts": {growth.name: growth.verdict for growth in growths},
        "load of the machine at the end": os.getloadavg()[0],
    }


def draw(series: dict[str, tuple[Series, Series]], growths: list[Growth], capacity: float) -> None:
    """Draw each series over time, its verdict in the title."""
    from sluice.plots.style import CANDIDATE, dress_axes, make_figure, render_png

    verdicts = {growth.name: growth for growth in growths}
    figure = make_figure(
        9, 9, f"The gateway at {capacity / 2:,.0f} requests/s, half of its capacity"
    )
    axes = figure.subplots(len(series), 1, sharex=True)
    for place, (name, (seconds, values)) in zip(axes, series.items(), strict=True):
        found = verdicts.get(name)
        note = f": {found.verdict}, {found.share:+.1%} over the run" if found else " per second"
        dress_axes(place, f"{name}{note}", "s" if name == "handles" else "")
        place.plot(seconds, values, color=CANDIDATE, linewidth=0.8)
        place.set_ylim(0, max(float(np.percentile(values, 99.5)) * 1.2, 1e-9))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_bytes(render_png(figure))


if __name__ == "__main__":
    main()
