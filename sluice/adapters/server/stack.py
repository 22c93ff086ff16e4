"""The local stack of a state folder: Prefect server, worker, gateway and pages."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sluice.adapters.registry.client import open_registry
from sluice.adapters.server import api as prefect_api
from sluice.adapters.server import housekeeping, parts, worker
from sluice.adapters.server.background import (
    MOST,
    BackgroundProcess,
    Restarts,
    ShutdownSignals,
    last_line,
)
from sluice.adapters.server.home_server import (
    is_own,
    revive_server,
    run_server,
    server_environment,
)
from sluice.adapters.server.process import is_alive, read_record
from sluice.adapters.server.process_tree import find_related
from sluice.adapters.server.record import StackRecord, clear_stack, read_stack, write_stack
from sluice.adapters.server.worker import close_lost
from sluice.adapters.storage import try_lock
from sluice.errors import ServerUnavailable
from sluice.home import Home

CLAIM_POLL_SECONDS, REPORT_SECONDS = 0.2, 5.0


@contextmanager
def claim_stack(home: Home, report: Callable[[str], None]) -> Iterator[StackRecord | None]:
    """Claim the right to run the local stack; yield the other one's record if it runs already.

    If another process is starting or ending it, wait for that.

    Raises:
        ServerUnavailable: the state folder cannot be written.
    """
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        lock = (home.root / "stack.lock").open("a")
    except OSError as error:
        raise ServerUnavailable(f"the stack of {home.root}: {error}") from error
    with lock:
        began = reported = time.monotonic()
        while not try_lock(lock):
            if (record := read_stack(home)) is not None:
                yield record
                return
            now = time.monotonic()
            if now - reported >= REPORT_SECONDS:
                report(f"  another `sluice up` here starts or ends, {now - began:.0f} s")
                reported = now
            time.sleep(CLAIM_POLL_SECONDS)
        clear_stack(home)
        try:
            yield None
        finally:
            clear_stack(home)


CHECK_SECONDS, LOST_SECONDS = 0.5, 30.0
CANCEL_SECONDS, STOP_SECONDS, SWEEP_SECONDS = 40.0, 10.0, 5.0
POLL_SECONDS = 0.3
PARTS = (worker.PART, housekeeping.PART, parts.PAGES, parts.GATEWAY, parts.STATUS_PAGE)
ENDED = "the local stack (`sluice up`) was shut down while the run was in progress"
LOST = "its process and its worker were killed"
Report = Callable[[str], None]


@dataclass(frozen=True)
class StackOptions:
    """The ports to try first, and how many flow runs the worker takes at once."""

    port: int = 4200
    pages_port: int = parts.PAGES_PORT
    limit: int = 4
    gateway_port: int = parts.GATEWAY_PORT
    rollouts_port: int = parts.STATUS_PAGE_PORT


@contextmanager
def run_stack(
    home: Home, options: StackOptions, signals: ShutdownSignals, report: Report
) -> Iterator["Stack"]:
    """Start or join the state folder's Prefect server; end every part when the block ends.

    From here on this process's environment names the server; import Prefect only inside.

    Raises:
        ServerUnavailable: the server does not answer, or none can be started.
    """
    with run_server(home, options.port, report=report) as api:
        os.environ.update({**server_environment(home), "PREFECT_API_URL": api})
        stack = Stack(home, api, options, signals, report)
        try:
            yield stack
        finally:
            signals.begin_shutdown()
            stack.end()


class Stack:
    """The local stack's parts beside the server; none runs before `start`."""

    def __init__(
        self, home: Home, api: str, options: StackOptions, signals: ShutdownSignals, report: Report
    ) -> None:
        self._home, self._api, self._options = home, api, options
        self._signals, self._report = signals, report
        record = read_record(home)
        self._own_port = record.port if record and is_own(home, api) else 0
        self._gateway = self._make_part(parts.GATEWAY_PART, options.gateway_port)
        self._rollouts = self._make_part(parts.STATUS_PART, options.rollouts_port)
        self._listening = [self._gateway, self._rollouts]
        self._pages: parts.ListeningPart | None = None
        if not home.tracking_uri.startswith("http"):
            self._pages = self._make_part(parts.REGISTRY_PAGES, options.pages_port)
            self._listening.append(self._pages)
        self._worker: BackgroundProcess | None = None
        self._housekeeping: BackgroundProcess | None = None
        self._restarts = {name: Restarts() for name in ("server", *PARTS)}
        self._checked = time.monotonic()

    def start(self, deploy: Callable[[], object]) -> StackRecord:
        """Start all parts and deploy; return the record once every part answers.

        Raises:
            ServerUnavailable: a part does not come up.
            RegistryUnavailable: the registry cannot be made ready.
        """
        self._end_leftovers()
        self._close_lost()
        open_registry(self._home).prepare()
        for part in self._listening:
            part.start()
        deploy()
        for part in self._listening:
            part.await_answer()
        self._report("starting the worker")
        self._start_worker()
        self._start_housekeeping()
        record = self._describe()
        write_stack(self._home, record)
        return record

    def keep(self) -> None:
        """Restart parts that end, until a signal raises.

        Raises:
            ServerUnavailable: a part ended four times within a minute, or does not come up.
        """
        while True:
            self._keep_server()
            for part in self._listening:
                if part.process and part.has_ended:
                    self._restart_part(part)
            if self._worker and not self._worker.is_alive:
                self._replace_worker(self._worker)
            if self._housekeeping and not self._housekeeping.is_alive:
                self._pause(housekeeping.PART, self._housekeeping.describe_end())
                self._start_housekeeping()
            if time.monotonic() - self._checked > LOST_SECONDS:
                self._checked = time.monotonic()
                self._close_lost()
            time.sleep(CHECK_SECONDS)

    def end(self) -> None:
        """Cancel the flow runs in progress and end every process of the local stack."""
        clear_stack(self._home)
        is_urgent = self._signals.is_urgent
        self._report("ending")
        if self._housekeeping:  # it starts runs
            self._housekeeping.stop(signal.SIGTERM, housekeeping.STOP_SECONDS, is_urgent)
        self._cancel_runs()
        self._gateway.stop(is_urgent)
        if self._worker:
            self._worker.stop(signal.SIGINT, STOP_SECONDS, is_urgent)
        for part in self._listening:
            if part is not self._gateway:
                part.stop(is_urgent)
        self._sweep()
        self._close_lost(ENDED)
        if self._worker:
            worker.remove_worker(self._worker, self._api)

    def _restart_part(self, part: parts.ListeningPart) -> None:
        ended = part.process.describe_end() if part.process else ""
        if part is self._gateway:  # its workers answer on, and the next supervisor adopts them
            self._pause(part.kind.name, f"{ended}; its workers go on")
        else:
            self._pause(part.kind.name, ended)
            self._end_part(part.kind.name)  # a child process may hold its port
        part.restart()

    def _make_part(self, kind: parts.PartKind, port: int) -> parts.ListeningPart:
        return parts.ListeningPart(kind, self._home, port, self._report)

    @property
    def _registry(self) -> str:
        """The address of the registry's pages, ours or those that the environment names."""
        return self._pages.address if self._pages else self._home.tracking_uri

    @property
    def _links(self) -> dict[str, str]:
        return {"SLUICE_MLFLOW_UI": self._registry, "SLUICE_STATUS_UI": self._rollouts.address}

    def _start_housekeeping(self) -> None:
        """Start it beside a server of our own; on another one the schedules are on."""
        if self._own_port:
            self._housekeeping = housekeeping.start_housekeeping(self._home, self._api, self._links)

    def _start_worker(self) -> None:
        self._worker = worker.start_worker(self._home, self._api, self._links, self._options.limit)
        worker.await_worker(self._worker, self._api, self._report)

    def _replace_worker(self, ended: BackgroundProcess) -> None:
        self._pause(worker.PART, f"{ended.describe_end()}; its flow runs continue")
        worker.remove_worker(ended, self._api)
        try:
            self._start_worker()
        except ServerUnavailable as error:
            self._report(str(error))  # a worker that ended is counted at the next check
            return
        self._report("the worker is online again")
        write_stack(self._home, self._describe())

    def _keep_server(self) -> None:
        if not self._own_port or is_alive(self._home):
            return
        log = self._home.logs / "prefect-server.log"
        self._pause("server", f"the Prefect server ended; its last line: {last_line(log)}")
        revive_server(self._home, self._own_port, self._report)

    def _pause(self, part: str, problem: str) -> None:
        pause = self._restarts[part].allow(time.monotonic())
        if pause is None:
            raise ServerUnavailable(f"{problem}; it was started {MOST} times within a minute")
        self._report(f"{problem}; starting another in {pause:.0f} s")
        time.sleep(pause)

    def _describe(self) -> StackRecord:
        name = worker.name_worker(self._worker) if self._worker else ""
        page = self._api.removesuffix("/api")
        log = str(self._home.logs / "worker.log")
        here = [self._gateway.address, self._rollouts.address]
        return StackRecord(os.getpid(), page, self._registry, name, log, self._options.limit, *here)

    def _end_leftovers(self) -> None:
        """End parts that a killed `sluice up` left behind; its flow runs continue."""
        related = find_related(self._home)
        for name in PARTS:
            if self._end_part(name):
                self._report(f"ended the {name} that a killed `sluice up` left")
        runs = {item.flow_run for item in related if item.flow_run}
        if runs:
            self._report(f"{len(runs)} of its flow runs are in progress, and continue")

    def _end_part(self, name: str) -> bool:
        """Kill every process of a part; return whether there was one."""
        left = [item.pid for item in find_related(self._home) if item.part == name]
        _send(left, signal.SIGKILL)
        return bool(left)

    def _cancel_runs(self) -> None:
        """Cancel the flow runs in progress, as in the UI, and wait for them."""
        deadline = time.monotonic() + CANCEL_SECONDS
        cancelled, signalled = set[str](), set[int]()
        own = self._worker.pid if self._worker and self._worker.is_alive else 0
        while time.monotonic() < deadline and not self._signals.is_urgent():
            in_progress = [item for item in find_related(self._home) if item.flow_run]
            for run in {item.flow_run for item in in_progress} - cancelled:
                cancelled.add(run)
                self._cancel(run)
            for item in in_progress:
                if item.parent != own and item.pid not in signalled:
                    signalled.add(item.pid)  # its worker is gone and cannot signal it
                    _send([item.pid], signal.SIGTERM)
            if not in_progress and self._have_ended(cancelled):
                return
            time.sleep(POLL_SECONDS)

    def _cancel(self, run: str) -> None:
        found = prefect_api.read_run(self._api, run)
        if found and not found.is_final:
            self._report(f"cancelling flow run {found.name}; Ctrl-C kills it")
            prefect_api.request_cancellation(self._api, found, ENDED)

    def _have_ended(self, runs: set[str]) -> bool:
        """Whether every run has ended for the server, or is unknown to it."""
        found = [prefect_api.read_run(self._api, run) for run in runs]
        return all(run is None or run.is_final for run in found)

    def _sweep(self) -> None:
        deadline = time.monotonic() + SWEEP_SECONDS
        while (left := find_related(self._home)) and time.monotonic() < deadline:
            _send([item.pid for item in left], signal.SIGKILL)
            time.sleep(POLL_SECONDS)

    def _close_lost(self, reason: str = LOST) -> None:
        for run in close_lost(self._api, reason):
            self._report(f"flow run {run.name} is closed as Crashed: {reason}")


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
