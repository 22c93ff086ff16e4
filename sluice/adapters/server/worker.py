"""The Prefect worker that runs the pool's flow runs, and runs that lost their worker."""

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sluice.adapters.server.api import POOL, FlowRun, ask_server, find_unfinished, mark_crashed
from sluice.adapters.server.background import BackgroundProcess, start_background
from sluice.adapters.server.home_server import server_environment
from sluice.adapters.server.process_tree import can_find, find_flow_runs, mark_part
from sluice.errors import ServerUnavailable
from sluice.home import CONFIGS, PROMPTS, SUITES, Home

START_SECONDS, POLL_SECONDS, REPORT_SECONDS = 120.0, 0.3, 5.0
QUERY_SECONDS = 1
PART = "worker"
# `exec` keeps the process id, so that both sides know the name.
NAMED = """
import os, socket, sys
name = f"{socket.gethostname()}-{os.getpid()}"
os.execv(sys.executable, [sys.executable, "-m", "prefect", *sys.argv[1:], "--name", name])
"""


def start_worker(home: Home, api: str, links: Mapping[str, str], limit: int) -> BackgroundProcess:
    """Start a worker that runs at most `limit` flow runs at once; do not wait for it.

    Its flow runs inherit its environment.

    Raises:
        OSError: the log cannot be written, or no process can be created.
    """
    environment = {
        **describe_environment(home, api, links),
        **mark_part(home, PART),
        "PREFECT_WORKER_QUERY_SECONDS": str(QUERY_SECONDS),
    }
    arguments = ["-c", NAMED, "worker", "start", "--pool", POOL, "--type", "process"]
    arguments += ["--limit", str(limit)]
    # Killed, it leaves its flow runs alone; a request to end would end them.
    return start_background(
        "the worker",
        arguments,
        environment,
        home.logs / "worker.log",
        home.root,
        at_parents_end=signal.SIGKILL,
    )


def describe_environment(home: Home, api: str, links: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of flow runs, and of what looks whether one is needed.

    It names the state folder, the folders of configurations and suites, and the addresses that runs
    link to (`links`, unless the environment has others).
    """
    environment = {
        **os.environ,
        **server_environment(home),
        "PREFECT_API_URL": api,
        "SLUICE_CONFIGS": str(CONFIGS),  # a flow run's folder is not the caller's
        "SLUICE_SUITES": str(SUITES),
        "SLUICE_PROMPTS": str(PROMPTS),
        **{name: os.environ.get(name) or address for name, address in links.items()},
    }
    environment.pop("PREFECT_LOGGING_SETTINGS_PATH", None)
    return environment


def name_worker(worker: BackgroundProcess) -> str:
    """Return the worker's name on the server: host and process id."""
    return f"{socket.gethostname()}-{worker.pid}"


def is_gone(name: str) -> bool:
    """Whether the name is that of a worker of this machine that no longer runs."""
    host, _, number = name.rpartition("-")
    return (
        host == socket.gethostname() and number.isdigit() and not Path(f"/proc/{number}").exists()
    )


def await_worker(worker: BackgroundProcess, api: str, report: Callable[[str], None]) -> None:
    """Wait until the worker is online on the server.

    Raises:
        ServerUnavailable: it ended instead, or does not come online in time.
    """
    began = reported = time.monotonic()
    while not is_online(worker, api):
        now = time.monotonic()
        if not worker.is_alive:
            raise ServerUnavailable(f"{worker.describe_end()}, while starting")
        if now - began > START_SECONDS:
            raise ServerUnavailable(
                f"the worker is not online after {START_SECONDS:.0f} s; see {worker.log}"
            )
        if now - reported >= REPORT_SECONDS:
            report(f"  the worker is starting, {now - began:.0f} s")
            reported = now
        time.sleep(POLL_SECONDS)


def is_online(worker: BackgroundProcess, api: str) -> bool:
    """Whether the server lists the worker as online."""
    wanted = {"workers": {"status": {"any_": ["ONLINE"]}}}
    _, found = ask_server(f"{api}/work_pools/{POOL}/workers/filter", wanted)
    return name_worker(worker) in {item["name"] for item in found or []}


def remove_worker(worker: BackgroundProcess, api: str) -> None:
    """Remove a worker that ended from the server, which would list it as online for a while."""
    ask_server(f"{api}/work_pools/{POOL}/workers/{name_worker(worker)}", method="DELETE")


def close_lost(api: str, reason: str) -> list[FlowRun]:
    """Mark runs as Crashed whose worker and process on this machine are gone; return them.

    Runs of workers on other machines stay, and all runs if the system shows no processes.
    """
    if not can_find():
        return []
    orphaned = [run for run in find_unfinished(api) if is_gone(run.worker)]
    alive = find_flow_runs() if orphaned else set[str]()
    lost = [run for run in orphaned if run.id not in alive]
    for run in lost:
        mark_crashed(api, run, reason)
    return lost
