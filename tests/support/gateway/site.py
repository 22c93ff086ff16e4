"""A real gateway in tests: its processes, models in its cache, routes in a real control store."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from serving.log.records import Answer, Record, decode_record
from serving.log.spool import Position, SpoolReader
from serving.log.worker_runs import list_runs
from serving.models.cache import Manifest, ModelCache
from sluice.adapters.control.store import Control, open_control
from sluice.adapters.security.keys import TRUSTED, KeyRing
from sluice.control.route import Mode, Route
from sluice.home import Home
from support.gateway.models import describe_model, sign_model
from support.gateway.towns import DATA
from support.servers.ports import find_free_port

SECONDS = 120.0
SETTINGS: dict[str, Any] = {
    "traffic_log": {"segment_bytes": 1 << 22, "flush_seconds": 0.1, "batch_rows": 1000},
    "access_log": {"level": "errors"},
    "limits": {"body_bytes": 1 << 16, "body_seconds": 2, "drain_seconds": 5},
}


@dataclass(frozen=True)
class CallerReply:
    """The reply that a caller got."""

    status: int
    headers: dict[str, str]
    text: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Site:
    """One state folder with its control store, cache and settings."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.home = Home(folder / "home")
        self.configs = folder / "configs"
        (self.configs / "gateway").mkdir(parents=True)
        text = yaml.safe_dump({**SETTINGS, **settings})
        (self.configs / "gateway" / "gateway.yaml").write_text(text)
        self.home.root.mkdir()
        self.control: Control = open_control(self.home)
        self.control.prepare()
        self.cache = ModelCache(self.home.models, None)

    def keep(self, manifest: Manifest, source: Path) -> None:
        """Put a signed model into the cache, as the fetcher does."""
        signed = sign_model(manifest, source, KeyRing(self.home.keys("development")))
        self.cache.publish(self.cache.keep(signed, source))

    def serve(self, service: str, towns: Path, candidate: Path | None = None) -> None:
        """Add a service with a champion, and a second version that may be another model."""
        for version, source in ((1, towns), (2, candidate or towns)):
            self.keep(describe_model(DATA, "binary", version, service=service), source)
        self.route(service)
        self._source = towns

    def serve_more(self, service: str, version: int) -> None:
        """Put another version of a service into the cache."""
        self.keep(describe_model(DATA, "binary", version, service=service), self._source)

    def route(self, service: str = "towns", **facts: Any) -> Route:
        before = self.control.routes.find(service)
        base = before or Route(service, 1)
        return self.control.routes.swap(before, replace(base, **facts))

    def canary(self, service: str, weight: float, **facts: Any) -> Route:
        values = {"candidate": 2, "mode": Mode.CANARY, "salt": "s", "weight": weight}
        return self.route(service, **{**values, **facts})

    def shadow(self, service: str, **facts: Any) -> Route:
        values = {"candidate": 2, "mode": Mode.SHADOW, "salt": "s", "weight": 0.0}
        return self.route(service, **{**values, **facts})

    @contextmanager
    def renewing(self, *services: str) -> Iterator[None]:
        """Renew the leases of routes, as their controllers do."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(0.5):
                for service in services:
                    self.renew(service)

        thread = threading.Thread(target=renew)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def renew(self, service: str = "towns") -> None:
        found = self.control.routes.find(service)
        assert found is not None
        self.control.routes.renew(found)


class Running:
    """One replica's processes."""

    def __init__(
        self,
        site: Site,
        process: "subprocess.Popen[bytes]",
        port: int,
        name: str,
        environment: dict[str, str],
    ) -> None:
        self.site, self.process, self.port = site, process, port
        self.folder = site.home.serving / name
        self.environment = environment

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        method: str = "",
        seconds: float = 30,
    ) -> CallerReply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            verb = method or ("GET" if content is None else "POST")
            kinds = {} if content is None else {"content-type": "application/json"}
            connection.request(verb, path, content, {**kinds, **(headers or {})})
            answer = connection.getresponse()
            return CallerReply(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()

    def predict(self, inputs: Any, service: str = "towns", **more: Any) -> CallerReply:
        return self.ask(f"/v1/models/{service}:predict", {"inputs": inputs, **more})

    def describe(self, service: str = "towns") -> dict[str, Any]:
        """The state of a service in the worker that answers."""
        return dict(self.ask("/readyz").json["services"].get(service, {}))

    def await_candidate(self, service: str) -> None:
        """Wait until every worker sends the candidate its share."""
        self.await_all(
            service, lambda state: bool(state.get("candidate") and not state["candidate_reason"])
        )

    def await_champion(self, service: str, version: int = 1) -> None:
        """Wait until every worker answers with this version."""
        self.await_all(service, lambda state: state.get("champion") == version)

    def await_all(self, service: str, holds: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until a service's state in each worker is so; which worker answers is random."""
        good: set[str] = set()

        def all_hold() -> bool:
            page = self.ask("/readyz").json
            fits = holds(page["services"].get(service, {}))
            (good.add if fits else good.discard)(page["worker"])
            return len(good) >= len(self.workers())

        wait_until(all_hold)

    def workers(self) -> list[int]:
        """The processes of the workers, without those that are only starting."""
        return [pid for pid in self._list_workers() if not is_spare(pid)]

    def spares(self) -> list[int]:
        """The processes that wait, or will wait, to take a worker's place."""
        return [pid for pid in self._list_workers() if is_spare(pid)]

    def _list_workers(self) -> list[int]:
        return [pid for pid in self.children() if b"serving.process.worker" in read_command(pid)]

    def children(self) -> list[int]:
        """The processes of the replica beside its supervisor, whoever started them."""
        mark = b"SLUICE_TEST_REPLICA=" + str(self.folder).encode() + b"\0"
        others = {self.process.pid, os.getpid()}
        found = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid in found if pid not in others and mark in read_environment(pid)]

    def restart(self) -> None:
        """Start the supervisor again, as a service manager does when it has ended."""
        self.process = subprocess.Popen(self.process.args, env=self.environment)

    def await_ready(self, seconds: float = SECONDS) -> None:
        wait_until(self._is_ready, seconds)

    def kill(self) -> None:
        """Kill every process of the replica at once, as a machine that fails does."""
        self.process.kill()
        self.process.wait()
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, "the gateway ended"
        try:
            return self.ask("/readyz").status == 200
        except OSError:
            return False


def share_keys(home: Home) -> None:
    """Let production trust what development signs: tests release in the one, serve in the other."""
    ours = KeyRing(home.keys("development"))
    ours.open_signing_key()
    for file in (ours.folder / TRUSTED).glob("*.pem"):
        KeyRing(home.keys("production")).trust(file)


@contextmanager
def run_gateway(
    site: Site, *options: str, name: str = "gateway", port: int = 0, **variables: str
) -> Iterator[Running]:
    """Run a replica without fetcher and log-writer, unless the options are others."""
    chosen = port or find_free_port()
    words = options or ("--no-fetcher", "--no-log-writer")
    environment = {
        **os.environ,
        "SLUICE_HOME": str(site.home.root),
        "SLUICE_CONFIGS": str(site.configs),
        "SLUICE_ENV": "production",
        "SLUICE_TEST_REPLICA": str(site.home.serving / name),
        **variables,
    }
    command = ["-m", "serving", "--port", str(chosen), "--replica", name, *words]
    share_keys(site.home)
    process = subprocess.Popen([sys.executable, *command], env=environment)
    running = Running(site, process, chosen, name, environment)
    try:
        running.await_ready()
        yield running
    finally:
        running.end()
        for pid in running.children():  # of a supervisor that was killed and had no successor
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def is_spare(pid: int) -> bool:
    """Whether a worker was started as the spare and has taken no place yet."""
    return b"--spare" in read_command(pid) and not read_process(pid, "comm").startswith(b"sluice-w")


def read_command(pid: int) -> bytes:
    return read_process(pid, "cmdline")


def read_environment(pid: int) -> bytes:
    return read_process(pid, "environ")


def read_process(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def wait_until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def read_log(folder: Path) -> list[Record]:
    """Every record that the replica's workers spooled, in runs that were not cleared."""
    records = []
    for run in list_runs(folder):
        reader = SpoolReader(run.folder, Position())
        records += [decode_record(content) for content in reader.read()]
    return records


def read_answers(folder: Path, service: str) -> list[Answer]:
    """The answers among them, of one service."""
    found = read_log(folder)
    return [item for item in found if isinstance(item, Answer) and item.service == service]
