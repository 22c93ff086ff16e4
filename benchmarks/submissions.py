"""A thousand submissions beside live rollouts on SQLite: none may be refused, lost or doubled.

`python -m benchmarks.submissions [--submissions 1000] [--rate 10]`. A whole local stack runs twice:
first with Prefect's own server application, then with ours. In both a worker runs one rollout after
another on live traffic, and a flow on a schedule. Meanwhile runs are submitted, half as the UI's
form does it and half by Prefect's client. Submitted runs wait in a paused queue: a thousand
processes would measure the machine. Both stacks look for `watch` and `keeper` themselves, so that
only the server application differs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.results import Row, report
from benchmarks.harness.served import SERVICE, Served, prepare_home
from benchmarks.harness.submissions import CLIENT, FORM, submit_all
from cli.output import say
from demo.stack import CallerOptions, run_callers, wait_for_champion
from sluice.adapters.server import process
from sluice.adapters.server.background import ShutdownSignals
from sluice.adapters.server.stack import StackOptions, run_stack
from sluice.home import PROJECT, find_home

PLAIN, OURS = "Prefect's own server", "ours"
APPLICATIONS = {
    PLAIN: ("prefect.server.api.server:create_app", "--factory"),
    OURS: process.APPLICATION,
}
POLICY, RPS, FEEDBACK = "smoke", 100.0, 0.2
LONGEST_SECONDS, ROLLOUT_SECONDS, END_SECONDS = 4 * 3600.0, 300.0, 120.0
PROBE_SECONDS, POLL_SECONDS = 20.0, 1.0
LOCKED = "(sqlite3.OperationalError) database is locked"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=10.0, help="a second")
    parser.add_argument("--server", choices=list(APPLICATIONS), help="only measure this one")
    parser.add_argument("--json", type=Path, help="where to write what was measured")
    given = parser.parse_args()
    if given.server:
        found = measure(given.server, given.submissions, given.rate)
        given.json.write_text(json.dumps(found), encoding="utf-8")
        return
    load = [round(value, 2) for value in os.getloadavg()]
    both = {name: measure_apart(name, given.submissions, given.rate) for name in APPLICATIONS}
    rows = [row for name, found in both.items() for row in list_rows(name, found)]
    notes = {
        "submissions a second": given.rate,
        "a scheduled run each": f"{PROBE_SECONDS:g} s",
        "load of the machine before": load,
        **{name: found["notes"] for name, found in both.items()},
    }
    report("submissions", rows, notes)


def measure_apart(server: str, count: int, rate: float) -> dict[str, Any]:
    """Measure in a process of its own: Prefect's client reads its settings once."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "measured.json"
        command = [sys.executable, "-m", "benchmarks.submissions", "--server", server]
        command += ["--submissions", str(count), "--rate", str(rate), "--json", str(file)]
        subprocess.run(command, cwd=PROJECT, check=True)
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found


def measure(server: str, count: int, rate: float) -> dict[str, Any]:
    """Submit so many runs beside rollouts on a stack with this server; return the counts."""
    for name in ("MLFLOW_TRACKING_URI", "SLUICE_CONTROL_URL", "PREFECT_API_URL"):
        os.environ.pop(name, None)
    paths = (str(PROJECT), os.environ.get("PYTHONPATH", ""))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.environ["PREFECT_SERVER_LOG_RETRYABLE_ERRORS"] = "true"
    process.APPLICATION = APPLICATIONS[server]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        os.environ["SLUICE_HOME"] = str(Path(folder) / "home")
        say(f"### {server}: a model is fitted and registered twice, and the stack starts")
        served = prepare_home(find_home())
        for _ in ("champion", "candidate"):
            served.register(Path(folder))
        served.set_route(SERVICE, 1)
        signals = stack.enter_context(ShutdownSignals())
        parts = stack.enter_context(run_stack(served.home, StackOptions(), signals, say))
        record = parts.start(_deploy)
        wait_for_champion(served.home, record.gateway, SERVICE, 1)
        options = CallerOptions(SERVICE, RPS, FEEDBACK, LONGEST_SECONDS)
        stack.enter_context(run_callers(served.home, record.gateway, options))
        return _submit(served, f"{record.prefect}/api", count, rate)


def _deploy() -> None:
    from tasks.deploy.deployments import deploy_file

    deploy_file(PROJECT / "deployments.yaml", lambda _: None, quiet=True)


def _submit(served: Served, api: str, count: int, rate: float) -> dict[str, Any]:
    from benchmarks.harness import probe

    ids = probe.deploy_probes(PROBE_SECONDS)
    with roll_out_in_turns(served):
        say(f"### {count} submissions, {rate:g} a second, beside rollouts")
        began = datetime.now(UTC)
        found = submit_all(api, ids[probe.SUBMITTED], probe.SUBMITTED_NAME, count, rate)
        ended = datetime.now(UTC)
        scheduled = probe.await_due(ids[probe.SCHEDULED], began, ended, END_SECONDS)
    taken = Counter(int(run.parameters["number"]) for run in probe.read_runs(ids[probe.SUBMITTED]))
    rollouts = served.control.rollouts.list_rollouts(SERVICE)
    return {
        "submissions": [asdict(one) for one in found],
        "lost": sum(one.number not in taken for one in found),
        "doubled": sum(number > 1 for number in taken.values()),
        "scheduled": len(scheduled),
        "not completed": sum(run.state_name != "Completed" for run in scheduled),
        "crashed": sum(run.state_name == "Crashed" for run in probe.read_runs()),
        "locked": (served.home.logs / "prefect-server.log").read_text().count(LOCKED),
        "notes": {
            "seconds": round((ended - began).total_seconds(), 1),
            "rollouts": len(rollouts),
            "ticks of rollouts": sum(one.tick for one in rollouts),
            "runs": dict(sorted(probe.count_states().items())),
            "refusals": dict(Counter(one.problem for one in found if one.problem)),
        },
    }


@contextmanager
def roll_out_in_turns(served: Served) -> Iterator[None]:
    """Let the worker roll out one version after the other while the block runs."""
    ended = threading.Event()

    def roll_out() -> None:
        while not ended.is_set():
            champion = served.registry.find_alias(SERVICE, "champion")
            version = 2 if champion is not None and champion.version == 1 else 1
            _roll_out(version)

    def _roll_out(version: int) -> None:
        from prefect.deployments import run_deployment

        parameters = {"service": SERVICE, "version": version, "policy": POLICY}
        run_deployment("rollout/rollout", parameters=parameters, as_subflow=False)

    thread = threading.Thread(target=roll_out, daemon=True)
    thread.start()
    _await_rollout(served)
    try:
        yield
    finally:
        ended.set()
        thread.join(ROLLOUT_SECONDS)


def _await_rollout(served: Served) -> None:
    deadline = time.monotonic() + ROLLOUT_SECONDS
    while served.control.rollouts.find_open(SERVICE) is None:
        if time.monotonic() > deadline:
            raise RuntimeError("no rollout began; see the worker's log")
        time.sleep(POLL_SECONDS)


def list_rows(server: str, found: dict[str, Any]) -> list[Row]:
    """Return the figures of one server; only ours has targets."""
    rows, limit = [], 0.0 if server == OURS else None
    for kind in (FORM, CLIENT):
        ones = [one for one in found["submissions"] if one["kind"] == kind]
        of = f"of {len(ones)}"
        first = sum(not one["problem"] and not one["retries"] for one in ones)
        p50, p99 = np.percentile([one["seconds"] for one in ones], [50, 99]) * 1000
        rows += [
            Row(f"{server}: {kind}: accepted at the first try", first, of),
            Row(f"{server}: {kind}: refused", sum(bool(one["problem"]) for one in ones), of, limit),
            Row(f"{server}: {kind}: p50", p50, "ms"),
            Row(f"{server}: {kind}: p99", p99, "ms"),
        ]
    total = f"of {len(found['submissions'])}"
    return [
        *rows,
        Row(f"{server}: submissions without a run", found["lost"], total, limit),
        Row(f"{server}: submissions with two runs", found["doubled"], total, limit),
        Row(
            f"{server}: scheduled runs not completed",
            found["not completed"],
            f"of {found['scheduled']}",
            limit,
        ),
        Row(f"{server}: runs that ended as Crashed", found["crashed"], "", limit),
        Row(f"{server}: transactions refused, in the server's log", found["locked"], "", limit),
    ]


if __name__ == "__main__":
    main()
