"""A server passes on what its own pages and programs send, and refuses what another page sends."""

import asyncio
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from sluice.adapters.server.guard import MORE_HOSTS, Guard, list_hosts

OWN = "127.0.0.1:4200"
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}


def ask(
    method: str = "GET", hosts: tuple[str, ...] = (OWN,), kind: str = "http", **headers: str
) -> list[MutableMapping[str, Any]]:
    """Return what a guarded application that answers everything sends."""
    sent: list[MutableMapping[str, Any]] = []

    async def answer(scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": f"{scope['type']}.accept", "headers": []})
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> MutableMapping[str, Any]:
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    given = [("Host", host) for host in hosts]
    given += [(name.replace("_", "-"), value) for name, value in headers.items()]
    pairs = [(name.encode(), value.encode()) for name, value in given]
    scope = {"type": kind, "method": method, "headers": pairs}
    asyncio.run(Guard(answer, list_hosts(4200))(scope, receive, send))
    return sent


def status_of(sent: list[MutableMapping[str, Any]]) -> int:
    return int(next(item["status"] for item in sent if "status" in item))


@pytest.mark.parametrize("host", [OWN, "localhost:4200", "LOCALHOST:4200"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:4200"},
        {"origin": "http://localhost:4200", "sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {
            "sec_fetch_site": "cross-site",
            "sec_fetch_mode": "navigate",
            "sec_fetch_dest": "document",
        },
    ],
)
def test_programs_own_pages_and_links_that_a_person_follows_pass(
    host: str, headers: dict[str, str]
) -> None:
    assert status_of(ask(hosts=(host,), **headers)) == 200


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        ("",),
        ("rebound.example",),
        ("rebound.example:4200",),
        ("10.rebound.example:4200",),
        ("127.0.0.1",),
        ("127.0.0.1:4201",),
        ("127.0.0.1:4200.rebound.example",),
        (OWN, "rebound.example:4200"),
    ],
)
def test_host_that_is_not_its_own_is_refused(hosts: tuple[str, ...]) -> None:
    sent = ask(hosts=hosts)
    assert status_of(sent) == 421
    assert b"allowed: 127.0.0.1:4200, localhost:4200; next: " in sent[-1]["body"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "http://localhost"},
        {"origin": "http://127.0.0.1:4200.evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
    ],
)
def test_what_another_page_sends_is_refused(method: str, headers: dict[str, str]) -> None:
    assert status_of(ask(method, **headers)) == 403


def test_form_that_another_page_posts_is_no_link() -> None:
    sent = ask(
        "POST", sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="document"
    )
    assert status_of(sent) == 403


@pytest.mark.parametrize(
    ("hosts", "headers"),
    [(("rebound.example",), {}), ((OWN,), {"origin": "http://evil.example"})],
)
def test_socket_of_another_page_is_closed_before_it_opens(
    hosts: tuple[str, ...], headers: dict[str, str]
) -> None:
    assert ask(kind="websocket", hosts=hosts, **headers) == [
        {"type": "websocket.close", "code": 1008}
    ]


def test_socket_of_a_program_opens() -> None:
    assert ask(kind="websocket")[0]["type"] == "websocket.accept"


def test_answer_cannot_be_framed_by_another_page() -> None:
    start = next(item for item in ask() if item["type"] == "http.response.start")
    assert (b"x-frame-options", b"SAMEORIGIN") in start["headers"]


def test_page_may_ask_only_the_addresses_at_which_it_is_served() -> None:
    start = next(item for item in ask() if item["type"] == "http.response.start")
    policy = dict(start["headers"])[b"content-security-policy"].decode()
    assert policy.startswith("connect-src 'self' ")
    assert {urlsplit(source).netloc for source in policy.split()[2:]} == set(list_hosts(4200))


def test_host_that_the_environment_names_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert status_of(ask(hosts=("tunnel.example:9000",))) == 421
    monkeypatch.setenv(MORE_HOSTS, " tunnel.example:9000 , ")
    assert status_of(ask(hosts=("tunnel.example:9000",))) == 200
    assert status_of(ask("POST", origin="https://tunnel.example:9000")) == 200
