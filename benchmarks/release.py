"""A warm release as a flow, compared with the same library calls in a plain script.

`python -m benchmarks.release [--rounds 7]`; a new state folder, one server, one process; both run
in turns.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness.results import Row, report
from cli.output import say

SERVICE = "employment"
YEARS = (2015, 2016, 2017)
TARGET_SECONDS = 1.0
IMPORT_RUNS = 3
IMPORTS = (
    "prefect",
    "great_expectations",
    "sklearn.ensemble",
    "mlflow",
    "deltalake",
    "skops.io",
    "matplotlib.figure",
)
END_SECONDS = 15.0
"""Seconds within which the server must know the end of each task run."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--without-imports", action="store_true")
    arguments = parser.parse_args()
    os.environ.pop("PREFECT_API_URL", None)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SLUICE_HOME"] = folder
        from cli.runs import open_terminal

        with open_terminal(SERVICE):
            prepare_champion()
            flows, scripts = take_turns(arguments.rounds)
    rows = compare(flows, scripts)
    rows += [] if arguments.without_imports else [time_import(name) for name in IMPORTS]
    notes = {
        "rounds": arguments.rounds,
        "flow seconds": [round(one["whole"], 3) for one in flows],
        "plain seconds": [round(one["whole"], 3) for one in scripts],
        "rows of data": 12_000 * len(YEARS),
        "load average before": round(load, 2),
        "load average after": round(os.getloadavg()[0], 2),
        "reading": "all are medians; difference and ratio are of each round's pair; Prefect's "
        "heartbeat thread rounds a sync flow's end up to a whole second: see "
        "`flow: outside its tasks`",
    }
    report("release", rows, notes)


def prepare_champion() -> None:
    """Ingest two years, release the champion, ingest the third; then warm up both kinds."""
    from benchmarks.harness.plain import run_plain_release
    from cli.runs import run_ingest
    from sluice.home import SAMPLES, find_home

    files = [str(SAMPLES / f"acs_employment_{year}.parquet") for year in YEARS]
    for number, file in enumerate(files):
        if number == len(files) - 1:
            run_flow("champion")
        say(f"### ingesting {Path(file).name}")
        assert run_ingest(SERVICE, file).code == 0
    say("### warming up: the flow and the plain script once")
    run_flow("warm-up")
    run_plain_release(find_home(), SERVICE)


def take_turns(rounds: int) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Run both in turns, alternating which is first; return each one's seconds by step."""
    flows, scripts = [], []
    for number in range(rounds):
        for first in (number % 2 == 0, number % 2 == 1):
            seconds = run_flow(f"round {number + 1}") if first else run_script()
            (flows if first else scripts).append(seconds)
            kind = "flow" if first else "plain script"
            say(f"### round {number + 1} of {rounds}: {kind} {seconds['whole']:.2f} s")
    return flows, scripts


def run_flow(cause: str) -> dict[str, float]:
    """Release as a flow; return the seconds of each task run, and of the whole."""
    from flows.release import release

    started = time.perf_counter()
    state: Any = release(SERVICE, cause=cause, return_state=True)
    whole = time.perf_counter() - started
    assert state.is_completed(), state.message
    return {**read_tasks(state.state_details.flow_run_id), "whole": whole}


def run_script() -> dict[str, float]:
    """Release as a plain script; return the seconds of each step, and of the whole."""
    from benchmarks.harness.plain import run_plain_release
    from sluice.home import find_home

    started = time.perf_counter()
    steps = run_plain_release(find_home(), SERVICE)
    return {**steps, "whole": time.perf_counter() - started}


def read_tasks(flow_run: Any) -> dict[str, float]:
    """Return the seconds of each task run, once the server knows the end of all."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
    until = time.monotonic() + END_SECONDS
    with get_client(sync_client=True) as client:
        while True:
            found = client.read_task_runs(flow_run_filter=wanted)
            ended = [run for run in found if run.start_time and run.end_time]
            if "close release" in {run.name for run in ended} and len(ended) == len(found):
                break
            assert time.monotonic() < until, "the server does not know how the task runs ended"
            time.sleep(0.1)
    ended.sort(key=lambda run: run.start_time)
    return {run.name: (run.end_time - run.start_time).total_seconds() for run in ended}


def compare(flows: list[dict[str, float]], scripts: list[dict[str, float]]) -> list[Row]:
    """Return the medians: whole, difference per round, each step with its share."""
    both = list(zip(flows, scripts, strict=True))
    flow, plain = (median(one["whole"] for one in kind) for kind in (flows, scripts))
    more = median(one["whole"] - other["whole"] for one, other in both)
    ratio = median(one["whole"] / other["whole"] for one, other in both)
    rows = [
        Row("plain script", plain, "s"),
        Row("flow", flow, "s"),
        Row("flow minus plain script", more, "s", TARGET_SECONDS),
        Row("flow to plain script", ratio, "ratio"),
    ]
    names = [name for name in flows[0] if name != "whole"]
    for name in names:
        seconds = median(one[name] for one in flows)
        rows.append(Row(f"flow: {name}", seconds, f"s, {seconds / flow:.0%} of the flow"))
    outside = median(one["whole"] - sum(one[name] for name in names) for one in flows)
    rows.append(Row("flow: outside its tasks", outside, f"s, {outside / flow:.0%} of the flow"))
    for name in (name for name in scripts[0] if name != "whole"):
        rows.append(Row(f"plain: {name}", median(one[name] for one in scripts), "s"))
    return rows


def time_import(module: str) -> Row:
    """Import a library in new processes and return the median seconds."""
    say(f"### importing {module}, {IMPORT_RUNS} times")
    code = f"import time; s = time.perf_counter(); import {module}; print(time.perf_counter() - s)"
    command = [sys.executable, "-W", "ignore", "-c", code]
    seconds = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(IMPORT_RUNS)
    ]
    return Row(f"import {module}", median(seconds), "s, in a new process")


if __name__ == "__main__":
    main()
