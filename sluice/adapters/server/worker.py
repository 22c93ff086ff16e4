"""The process worker that takes the pool's flow runs, and runs that lost their worker."""

import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sluice.adapters.server.api import POOL, FlowRun, ask_server, close_crashed, find_begun
from sluice.adapters.server.background import BackgroundProcess, start_background
from sluice.adapters.server.home_server import server_environment
from sluice.adapters.server.process_tree import can_find, find_flow_runs, mark_part
from sluice.errors import ServerUnavailable
from sluice.home import CONFIGS, SUITES, Home

START_SECONDS, POLL_SECONDS, REPORT_SECONDS = 120.0, 0.3, 5.0
QUERY_SECONDS = 1
PART = "worker"
# The process keeps its number, so both sides know the name.
NAMED = """
import os, socket, sys
name = f"{socket.gethostname()}-{os.getpid()}"
os.execv(sys.executable, [sys.executable, "-m", "prefect", *sys.argv[1:], "--name", name])
"""


def start_worker(home: Home, api: str, links: Mapping[str, str], limit: int) -> BackgroundProcess:
    """Start a worker that runs at most `limit` flow runs at once; it is not yet online.

    Its flow runs inherit its environment: the home, the folders of configurations and suites, and
    the addresses that they link to (`links`, where the environment says nothing else).

    Raises:
        OSError: the log cannot be written, or no process can be made.
    """
    environment = {
        **os.environ,
        **server_environment(home),
        **mark_part(home, PART),
        "PREFECT_API_URL": api,
        "PREFECT_WORKER_QUERY_SECONDS": str(QUERY_SECONDS),
        "SLUICE_CONFIGS": str(CONFIGS),  # a flow run's folder is not the caller's
        "SLUICE_SUITES": str(SUITES),
        **{name: os.environ.get(name) or address for name, address in links.items()},
    }
    environment.pop("PREFECT_LOGGING_SETTINGS_PATH", None)
    arguments = ["-c", NAMED, "worker", "start", "--pool", POOL, "--type", "process"]
    arguments += ["--limit", str(limit)]
    return start_background(
        "the worker", arguments, environment, home.logs / "worker.log", home.root
    )


def name_worker(worker: BackgroundProcess) -> str:
    """Give the name that the server knows the worker by: host and process."""
    return f"{socket.gethostname()}-{worker.pid}"


def is_gone(name: str) -> bool:
    """Whether the name is of a worker that ran on this machine and runs no more."""
    host, _, number = name.rpartition("-")
    return (
        host == socket.gethostname() and number.isdigit() and not Path(f"/proc/{number}").exists()
    )


def await_worker(worker: BackgroundProcess, api: str, report: Callable[[str], None]) -> None:
    """Wait until the server has the worker online.

    Raises:
        ServerUnavailable: it ended instead, or does not come online in time.
    """
    began = told = time.monotonic()
    while not is_online(worker, api):
        now = time.monotonic()
        if not worker.is_alive:
            raise ServerUnavailable(f"{worker.tell_end()}, while starting")
        if now - began > START_SECONDS:
            raise ServerUnavailable(
                f"the worker is not online after {START_SECONDS:.0f} s; see {worker.log}"
            )
        if now - told >= REPORT_SECONDS:
            report(f"  the worker is starting, {now - began:.0f} s")
            told = now
        time.sleep(POLL_SECONDS)


def is_online(worker: BackgroundProcess, api: str) -> bool:
    """Whether the server has heard of the worker."""
    wanted = {"workers": {"status": {"any_": ["ONLINE"]}}}
    _, found = ask_server(f"{api}/work_pools/{POOL}/workers/filter", wanted)
    return name_worker(worker) in {item["name"] for item in found or []}


def forget_worker(worker: BackgroundProcess, api: str) -> None:
    """Take a worker that ended off the server's list, where it would stand as online for a time."""
    ask_server(f"{api}/work_pools/{POOL}/workers/{name_worker(worker)}", method="DELETE")


def close_lost(api: str, why: str) -> list[FlowRun]:
    """Close the pool's runs whose worker was on this machine and is gone, and their process too.

    Runs of other machines' workers are left alone, and all where the system shows no processes.
    """
    if not can_find():
        return []
    begun = [run for run in find_begun(api) if is_gone(run.worker)]
    at_work = find_flow_runs() if begun else set[str]()
    lost = [run for run in begun if run.id not in at_work]
    for run in lost:
        close_crashed(api, run, why)
    return lost
