"""What a page of another site can send to each port of the local stack: nothing that counts.

Each request is one that a browser sends for a page without asking first, or a preflight, or one
under a name of the page's own that leads to this machine.
"""

import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sluice.adapters.server.login import read_login
from sluice.adapters.server.process import read_record
from sluice.adapters.server.process_tree import find_related
from sluice.config.serving import GatewayConfig
from sluice.home import Home
from support.servers.images import add_registry_database, add_server_database
from support.servers.ports import find_free_ports
from support.servers.up import READY, Up, end_by_force

pytestmark = [pytest.mark.slow, pytest.mark.faults]

EVIL = "http://evil.example"
PAGES = {"Prefect": "/api/health", "MLflow": "/health"}
if "hosts" in GatewayConfig.model_fields:  # the gateway and the status page check theirs, too
    PAGES |= {"gateway": "/healthz", "status": "/healthz"}
REFUSED = (403, 421)
LISTENING, LOOPBACK = "0A", f"{0x0100007F:08X}"
"""A listening socket and the address 127.0.0.1, as the kernel writes them."""
SIMPLE = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "")
STARTS = {
    "Prefect": "/api/work_pools/",
    "MLflow": "/api/2.0/mlflow/experiments/create",
    "gateway": "/v1/feedback",
    "status": "/v1/rollouts/employment/commands",
}
READS = {
    "Prefect": "/api/admin/settings",
    "MLflow": "/ajax-api/2.0/mlflow/experiments/search?max_results=5",
    "gateway": "/v1/counters",
    "status": "/",
}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home = Home(tmp_path_factory.mktemp("hostile") / "home")
    add_registry_database(add_server_database(home))
    names = ("--port", "--mlflow-port", "--gateway-port", "--page-port")
    ports = [str(port) for port in find_free_ports(len(names))]
    started = Up(home, *[word for pair in zip(names, ports, strict=True) for word in pair])
    try:
        started.await_words(READY)
        yield started
    finally:
        end_by_force(started)


def port_of(up: Up, of: str) -> int:
    return urlsplit(up.address(of).strip(",")).port or 0


def send(
    up: Up, of: str, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Send a request as a browser would, with exactly these headers; return the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(up, of), timeout=30)
    try:
        connection.putrequest(method, path, skip_host="host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    finally:
        connection.close()


def test_every_page_opens_under_its_own_names(up: Up) -> None:
    for of, path in PAGES.items():
        port = port_of(up, of)
        assert send(up, of, "GET", path)[0] == 200
        assert send(up, of, "GET", path, host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("of", PAGES)
@pytest.mark.parametrize("kind", SIMPLE)
def test_simple_request_of_another_page_starts_nothing(up: Up, of: str, kind: str) -> None:
    body = json.dumps({"name": "hostile", "type": "process"}).encode()
    given = {"content_type": kind} if kind else {}
    for origin in (EVIL, "null", "http://localhost:1"):
        status, headers, _ = send(up, of, "POST", STARTS[of], body, origin=origin, **given)
        assert status in REFUSED
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("of", PAGES)
@pytest.mark.parametrize("origin", [EVIL, "http://localhost:1"])
def test_another_page_reads_nothing_and_gets_no_leave_to(up: Up, of: str, origin: str) -> None:
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "x"}
    for method, more in (("GET", {}), ("OPTIONS", asked)):
        status, headers, _ = send(up, of, method, READS[of], origin=origin, **more)
        assert status in REFUSED
        assert "access-control-allow-origin" not in headers
    status, _, _ = send(up, of, "GET", READS[of], sec_fetch_site="cross-site")
    assert status in REFUSED


@pytest.mark.parametrize("of", PAGES)
def test_name_of_another_page_that_leads_here_is_refused(up: Up, of: str) -> None:
    port = port_of(up, of)
    for host in ("evil.example", f"evil.example:{port}", f"10.evil.example:{port}", ""):
        for path in ("/", PAGES[of], READS[of]):
            assert send(up, of, "GET", path, host=host)[0] in REFUSED
        body = b'{"name": "hostile"}'
        assert send(up, of, "POST", STARTS[of], body, host=host)[0] in REFUSED


def list_listeners(up: Up) -> set[tuple[str, int]]:
    """Return addresses and ports at which any process of the stack listens."""
    server = read_record(up.home)
    assert server is not None
    numbers = {up.process.pid, server.pid, *(item.pid for item in find_related(up.home))}
    links = [link for number in numbers for link in Path(f"/proc/{number}/fd").glob("*")]
    sockets = set()
    for link in links:
        with suppress(OSError):  # closed meanwhile
            sockets.add(str(link.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="utf-8").splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in sockets:
                address, _, port = fields[1].partition(":")
                found.add((address, int(port, 16)))
    return found


def read_answer(port: int, request: bytes) -> bytes:
    """Return what a port answers until it closes or is silent for two seconds; it may be gone."""
    answer = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as caller:
        caller.settimeout(2)
        caller.sendall(request)
        while part := caller.recv(1000):
            answer += part
    return answer


def test_whatever_else_listens_in_the_stack_is_on_loopback_and_speaks_no_http(up: Up) -> None:
    """Prefect's worker has a channel to each flow run, which knows a word of its own."""
    pages, found = {(LOOPBACK, port_of(up, of)) for of in PAGES}, list_listeners(up)
    assert pages <= found
    assert {address for address, _ in found} == {LOOPBACK}
    head = f"POST / HTTP/1.1\r\nhost: localhost\r\norigin: {EVIL}\r\ncontent-length: 2\r\n\r\n{{}}"
    for _, port in found - pages:
        for request in (head.encode(), b"0" * 4096):
            assert read_answer(port, request) == b""


def test_server_asks_every_program_for_its_login(up: Up) -> None:
    body = b'{"name": "hostile", "type": "process"}'
    given = {"content_type": "application/json"}
    assert send(up, "Prefect", "POST", "/api/work_pools/", body, **given)[0] == 401
    assert send(up, "Prefect", "GET", "/api/admin/settings")[0] == 401
    status, _, settings = send(up, "Prefect", "GET", "/ui-settings")
    assert (status, json.loads(settings)["auth"]) == (200, "BASIC")


def test_nothing_that_was_sent_is_there(up: Up) -> None:
    pools = up.ask("work_pools/filter", {})[1]
    assert [item["name"] for item in pools] == ["sluice"]
    _, _, found = send(up, "MLflow", "GET", READS["MLflow"])
    assert "hostile" not in [item["name"] for item in json.loads(found)["experiments"]]


@pytest.mark.parametrize("name", ["command", "env", "working_dir"])
def test_no_caller_sets_command_or_environment_of_a_run(up: Up, name: str, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    value: Any = {"PATH": "/"} if name == "env" else f"touch {taken}"
    deployment = up.ask("deployments/name/keeper/keeper")[1]["id"]
    wanted = {"parameters": {}, "job_variables": {name: value}}
    status, _ = up.ask(f"deployments/{deployment}/create_flow_run", wanted)
    assert status == 422
    assert not taken.exists()


def test_login_is_where_it_says_and_in_no_command_line(up: Up) -> None:
    login = read_login(up.home)
    assert login
    assert f"ask once for the line in {up.home.login_file}" in up.said
    assert login not in up.said
    listed = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, check=True).stdout
    assert login.partition(":")[2].encode() not in listed
    assert b"sqlite:" not in listed  # nor is the address of a store, which may hold a password


def test_state_folder_is_closed_to_other_users(up: Up) -> None:
    assert up.home.login_file.exists()
    places = [up.home.root, *up.home.root.rglob("*")]
    open_ones = [str(place) for place in places if place.lstat().st_mode & 0o077]
    assert [place for place in open_ones if not Path(place).is_symlink()] == []


def test_no_process_of_the_stack_writes_for_other_users(up: Up) -> None:
    server = read_record(up.home)
    assert server is not None
    related = find_related(up.home)
    parts = {item.part for item in related}
    assert {"worker", "pages", "gateway", "status page"} <= parts
    for number in (up.process.pid, server.pid, *(item.pid for item in related)):
        status = Path(f"/proc/{number}/status").read_text(encoding="utf-8")
        assert "Umask:\t0077" in status


def test_pages_of_the_registry_send_no_telemetry(up: Up) -> None:
    _, _, found = send(up, "MLflow", "GET", "/ajax-api/3.0/mlflow/ui-telemetry")
    assert json.loads(found)["disable_ui_telemetry"] is True
