"""Requests for unknown hosts, and those of other sites' pages, are refused."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from serving.http.hosts import LOOPBACK, AllowedHosts, list_hosts
from serving.http.replies import CallFailed
from serving.models.cache import CacheEntry, ModelCache
from sluice.config.serving import GatewayConfig, PageConfig
from support.gateway.application import run_application


def scope(*headers: tuple[str, str], server: str = "127.0.0.1") -> dict[str, Any]:
    found = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {"headers": found, "server": (server, 8080)}


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "LOCALHOST:1", "localhost.", "127.0.0.1:8080", "[::1]:8080"],
)
def test_loopback_is_allowed_by_every_name(host: str) -> None:
    hosts = AllowedHosts()
    for _ in range(2):
        hosts.check(scope(("host", host)))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "10.0.0.7:8080",
        "[::1",
        "",
        "\xff",
        "a" * 5000,
    ],
)
def test_any_other_host_is_refused_with_the_way_to_allow_it(host: str) -> None:
    with pytest.raises(CallFailed) as refused:
        AllowedHosts().check(scope(("host", host)))
    assert refused.value.reply.status == 403
    assert b"allowed: 127.0.0.1, [::1], localhost; next: name it in `hosts`" in (
        refused.value.reply.body
    )


def test_a_second_host_and_a_missing_one_are_refused() -> None:
    for headers in ([("host", "localhost"), ("host", "evil.example")], []):
        with pytest.raises(CallFailed):
            AllowedHosts().check(scope(*headers))


def test_the_address_at_which_a_request_arrives_is_allowed() -> None:
    hosts = AllowedHosts()
    hosts.check(scope(("host", "10.0.0.7:8080"), server="10.0.0.7"))
    hosts.check(scope(("host", "[2001:db8::7]:8080"), server="2001:DB8::7"))
    with pytest.raises(CallFailed):
        hosts.check(scope(("host", "10.0.0.7:8080")))


def test_names_of_the_settings_are_allowed() -> None:
    config = GatewayConfig(
        host="10.0.0.7",
        hosts=("Gateway.internal",),
        replicas=("http://10.0.0.8:8080", "https://replica.example"),
        page=PageConfig(host="::"),
    )
    names = list_hosts(config, "https://page.example/rollouts", "")
    assert set(names) == {
        *LOOPBACK,
        "10.0.0.7",
        "10.0.0.8",
        "replica.example",
        "page.example",
        "Gateway.internal",
    }
    for name in names:
        AllowedHosts(names).check(scope(("host", f"{name}:8080")))


def test_any_host_is_a_choice() -> None:
    AllowedHosts(["*"]).check(scope(("host", "evil.example")))


HOST = ("host", "127.0.0.1:8080")


@pytest.mark.parametrize(
    "headers",
    [
        [("origin", "http://127.0.0.1:8080")],
        [("origin", "https://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")],
        [("origin", "null"), ("sec-fetch-site", "same-origin")],
        [("sec-fetch-site", "none")],
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
    ],
)
def test_a_page_of_the_same_origin_and_a_link_are_allowed(headers: list[tuple[str, str]]) -> None:
    AllowedHosts().check(scope(HOST, *headers))
    AllowedHosts().check(scope(*headers, HOST))


@pytest.mark.parametrize(
    "headers",
    [
        [("origin", "http://evil.example")],
        [("origin", "http://127.0.0.1:4200")],
        [("origin", "http://localhost:8080")],
        [("origin", "null")],
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
        [("sec-fetch-site", "cross-site")],
    ],
)
def test_a_page_of_another_origin_is_refused(headers: list[tuple[str, str]]) -> None:
    for order in ([HOST, *headers], [*headers, HOST]):
        with pytest.raises(CallFailed) as refused:
            AllowedHosts(["*"]).check(scope(*order))
        assert refused.value.reply.status == 403


PATHS = {
    "/healthz": None,
    "/readyz": None,
    "/metrics": None,
    "/v1/counters": None,
    "/openapi.json": None,
    "/v1/models/towns:smoke": None,
    "/v1/models/towns:predict": b'{"inputs": {"size": 1, "town": "ayr", "here": true}}',
    "/v1/feedback": b'{"request_id": "r", "rating": 1}',
    "/nowhere": None,
}
"""Each path of the gateway, with a body where it takes one."""


@pytest.mark.parametrize("path", PATHS)
def test_no_path_of_the_gateway_answers_another_host_or_page(
    path: str, tmp_path: Path, models: ModelCache, kept: CacheEntry
) -> None:
    foreign = [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}]
    kinds = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]

    async def test() -> None:
        async with run_application(tmp_path, models, kept) as gateway:
            body = PATHS[path]
            for headers in foreign:
                assert (await gateway.ask(path, body, headers))[0] == 403
            for kind in kinds if body else ():
                assert (await gateway.ask(path, body, {"content-type": kind}))[0] == 415
            own = {"origin": "http://127.0.0.1:8080"}
            expected = (200, 202, 404 if path == "/nowhere" else 409)
            assert (await gateway.ask(path, body, own))[0] in expected

    asyncio.run(test())
