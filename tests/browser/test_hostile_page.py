"""A page of another site in a browser, beside `sluice up`: it reads, starts and sends nothing.

The page tries on each port all that a script can do without asking the user. The same attempts on
its own server succeed, which shows that they are made.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sluice.home import SAMPLES, Home
from support.releases.runs import run_sluice
from support.servers.forms import launch_browser
from support.servers.images import add_registry_database, add_server_database
from support.servers.ports import find_free_ports
from support.servers.stack import await_answer
from support.servers.up import READY, Up, end_by_force

pytestmark = pytest.mark.browser

SERVICE, EVIL = "employment", "evil.example"
SECONDS = 120.0
PREDICT = f"/v1/models/{SERVICE}:predict"
INPUTS = {
    "age": 41,
    "education": "bachelor",
    "marital_status": "married",
    "relationship": "householder",
    "citizenship": "born in US",
    "residence_last_year": "same house",
    "military_service": "never served",
    "ancestry": "multiple",
    "nativity": "native",
    "disability": False,
    "hearing_difficulty": False,
    "vision_difficulty": False,
    "cognitive_difficulty": None,
}
PARTS = ("Prefect", "MLflow", "gateway", "status")
READS = {
    "Prefect": ("/api/admin/settings", "/api/health", "/ui-settings", "/"),
    "MLflow": ("/ajax-api/2.0/mlflow/experiments/search?max_results=5", "/"),
    "gateway": ("/v1/counters", "/metrics", "/readyz", "/docs"),
    "status": (f"/services/{SERVICE}", "/"),
}
WRITES: dict[str, tuple[tuple[str, Any], ...]] = {
    "Prefect": (
        ("/api/work_pools/", {"name": "hostile", "type": "process"}),
        ("/api/variables/", {"name": "hostile", "value": "1"}),
        ("/api/flow_runs/filter", {}),
    ),
    "MLflow": (
        ("/api/2.0/mlflow/experiments/create", {"name": "hostile"}),
        ("/ajax-api/2.0/mlflow/experiments/create", {"name": "hostile"}),
    ),
    "gateway": (
        (PREDICT, {"inputs": INPUTS}),
        ("/v1/feedback", {"feedback": []}),
    ),
    "status": ((f"/v1/rollouts/{SERVICE}/commands", {"action": "abort", "reason": "hostile"}),),
}
SOCKETS = (
    "/api/events/in",
    "/api/events/out",
    "/api/logs/out",
    "/api/task_runs/subscriptions/scheduled",
)
PAGE = Path(__file__).with_name("hostile.html").read_bytes()


class Hostile(BaseHTTPRequestHandler):
    """Serve the page, and take whatever it sends home."""

    server: "HostileServer"

    def do_GET(self) -> None:
        """Serve the page."""
        self._answer(PAGE, "text/html")

    def do_POST(self) -> None:
        """Take what is sent."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.taken.append((self.headers.get("content-type", ""), body))
        self._answer(b"{}", "application/json")

    do_PUT = do_DELETE = do_PATCH = do_POST  # noqa: N815 - named by the library

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


class HostileServer(ThreadingHTTPServer):
    """The other site."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hostile)
        self.taken: list[tuple[str, bytes]] = []


@dataclass(frozen=True)
class Site:
    """The page of the other site in its browser, beside a stack that serves."""

    up: Up
    server: HostileServer
    page: Any
    thread: ThreadPoolExecutor

    def run(self, work: Any) -> Any:
        return self.thread.submit(work).result(SECONDS * 4)

    def port(self, of: str) -> int:
        return urlsplit(self.up.address(of).strip(",")).port or 0

    def visit(self, origin: str, targets: dict[str, str]) -> dict[str, str]:
        """Open the page at an origin and let it try everything; return what each attempt gave."""
        reads = [base + path for of, base in targets.items() for path in READS[of]]
        writes = [
            [base + path, json.dumps(body)]
            for of, base in targets.items()
            for path, body in WRITES[of]
        ]
        sockets = [targets["Prefect"].replace("http", "ws", 1) + path for path in SOCKETS]

        def attempt() -> Any:
            self.page.goto(f"http://{origin}:{self.server.server_port}/")
            call = "([reads, writes, sockets]) => tryAll(reads, writes, sockets)"
            return self.page.evaluate(call, [reads, writes, sockets])

        return dict(self.run(attempt))

    def targets(self, host: str = "127.0.0.1") -> dict[str, str]:
        return {of: f"http://{host}:{self.port(of)}" for of in PARTS}

    def ask(self, of: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask a part as a program of this machine does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port(of), timeout=60)
        try:
            headers = {"content-type": "application/json"} if body is not None else {}
            content = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, content, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def count(self) -> dict[str, Any]:
        """Return what a caller could have changed."""
        runs = self.up.ask("deployments/filter", {})[1]
        quiet = [item["id"] for item in runs if item["name"] in ("keeper", "watch", "monitor")]
        wanted = {"flow_runs": {"deployment_id": {"not_any_": quiet}}} if quiet else {}
        experiments = "/ajax-api/2.0/mlflow/experiments/search?max_results=50"
        return {
            "runs": self.up.ask("flow_runs/count", wanted)[1],
            "pools": sorted(item["name"] for item in self.up.ask("work_pools/filter", {})[1]),
            "variables": self.up.ask("variables/count", {})[1],
            "experiments": sorted(
                item["name"] for item in self.ask("MLflow", experiments)[1]["experiments"]
            ),
            "counts": [
                run["counters"] for run in self.ask("gateway", "/v1/counters")[1]["worker_runs"]
            ],
        }


@contextmanager
def run_hostile() -> Iterator[HostileServer]:
    with HostileServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def site(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = Home(tmp_path_factory.mktemp("page") / "home")
    add_registry_database(add_server_database(home))
    file = str(SAMPLES / "acs_employment_2015.parquet")
    released = run_sluice("release", SERVICE, "--ingest", file, home=home.root)
    assert released.returncode == 0, released.stdout + released.stderr
    names = ("--port", "--mlflow-port", "--gateway-port", "--page-port")
    ports = [str(port) for port in find_free_ports(len(names))]
    up = Up(home, *[word for pair in zip(names, ports, strict=True) for word in pair])
    try:
        up.await_words(READY)
        with run_hostile() as server, ThreadPoolExecutor(1) as thread:
            browser, library = thread.submit(_open_browser).result(SECONDS)
            try:
                page = thread.submit(browser.new_page).result(SECONDS)
                yield Site(up, server, page, thread)
            finally:
                thread.submit(browser.close).result(SECONDS)
                thread.submit(library.stop).result(SECONDS)
    finally:
        end_by_force(up)


def _open_browser() -> tuple[Any, Any]:
    from playwright.sync_api import sync_playwright

    library = sync_playwright().start()
    return launch_browser(library, f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"), library


def list_successes(found: dict[str, str]) -> dict[str, str]:
    """Return the attempts that read something."""
    return {name: value for name, value in found.items() if value.startswith("read")}


def test_the_attempts_succeed_where_they_may(site: Site) -> None:
    own = f"http://{EVIL}:{site.server.server_port}"
    found = site.visit(EVIL, dict.fromkeys(PARTS, own))
    of_fetch = {name for name in found if name.startswith(("fetch", "application/json", "PUT"))}
    assert of_fetch <= set(list_successes(found))
    kinds = {kind.partition(";")[0] for kind, _ in site.server.taken}
    assert {"application/json", "text/plain", "multipart/form-data"} <= kinds


@pytest.mark.parametrize("origin", [EVIL, "localhost", "127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_is_read_started_or_counted(site: Site, origin: str, host: str) -> None:
    before = site.count()
    found = site.visit(origin, site.targets(host))
    assert len(found) > 100
    assert list_successes(found) == {}
    assert site.count() == before


def test_name_that_leads_here_reads_nothing(site: Site) -> None:
    for of, base in site.targets(EVIL).items():
        for path in READS[of]:
            answer = site.run(lambda url=base + path: site.page.goto(url).status)
            assert answer in (403, 421), (of, path)
    before = site.count()
    found = site.visit(EVIL, site.targets(EVIL))
    assert list_successes(found) == {}
    assert site.count() == before


def test_a_program_is_counted(site: Site) -> None:
    """The counts above would have shown what came through."""
    before = site.count()
    status, answer = site.ask("gateway", PREDICT, {"inputs": INPUTS})
    assert (status, answer["arm"]) == (200, "champion")
    assert await_answer(lambda: site.count()["counts"] != before["counts"], SECONDS)
