"""A real gateway on loopback: the replies to valid and to invalid requests."""

import gzip
import json
import socket
import time
from contextlib import ExitStack
from hashlib import sha256
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.log.records import Feedback
from support.gateway.site import Running, Site, read_log, run_gateway, wait_until
from support.gateway.towns import Towns
from support.pace import slowed

pytestmark = pytest.mark.slow
HEAD = "host: localhost\r\ncontent-type: application/json\r\n"
GOOD = {"size": 1.0, "town": "ayr", "here": True}
PREDICT = "/v1/models/towns:predict"


def test_answers_equal_those_of_the_trained_pipeline(gateway: Running, towns: Towns) -> None:
    rows = towns.held_out.head(20)
    wanted = towns.pipeline.predict_proba(rows[["size", "town", "here"]])
    records = json.loads(rows[["size", "town", "here"]].to_json(orient="records"))
    got = gateway.predict(records).json["outputs"]
    classes = list(towns.pipeline.classes_)
    for found, expected in zip(got, wanted, strict=True):
        assert found["probabilities"]["yes"] == pytest.approx(expected[classes.index("yes")])


def test_an_answer_names_its_version_and_repeats_the_ids(gateway: Running) -> None:
    got = gateway.predict(GOOD, request_id="r-1", unit="ada").json
    assert got["outputs"]["prediction"] in ("yes", "no")
    facts = {
        key: got[key] for key in ("request_id", "unit", "service", "version", "arm", "backend")
    }
    assert facts == {
        "request_id": "r-1",
        "unit": "ada",
        "service": "towns",
        "version": 1,
        "arm": "champion",
        "backend": "onnx",
    }


def test_a_request_without_id_gets_one_of_its_own(gateway: Running) -> None:
    ids = {gateway.predict(GOOD).json["request_id"] for _ in range(5)}
    assert len(ids) == 5


BODY = json.dumps({"inputs": GOOD}).encode()
REFUSED: list[tuple[int, str, str, bytes | None, dict[str, str]]] = [
    (404, "POST", "/v1/models/nowhere:predict", BODY, {}),
    (404, "GET", "/nowhere", None, {}),
    (404, "POST", "/v1/models/:predict", BODY, {}),
    (405, "GET", PREDICT, None, {}),
    (405, "POST", "/metrics", b"{}", {}),
    (405, "PUT", "/v1/feedback", b"{}", {}),
    (413, "POST", PREDICT, b" " * 70_000, {}),
    (415, "POST", PREDICT, BODY, {"content-type": "text/plain"}),
    (415, "POST", PREDICT, BODY, {"content-type": ""}),
    (415, "POST", "/v1/feedback", b'{"request_id": "r", "rating": 1}', {"content-type": ""}),
    (415, "POST", PREDICT, gzip.compress(BODY, mtime=0), {"content-encoding": "gzip"}),
    (415, "POST", PREDICT, BODY, {"content-encoding": "br, gzip"}),
    (403, "POST", PREDICT, BODY, {"host": "evil.example"}),
    (403, "POST", PREDICT, BODY, {"origin": "http://evil.example"}),
    (403, "GET", "/v1/counters", None, {"host": "evil.example:8080"}),
    (403, "OPTIONS", PREDICT, None, {"origin": "http://evil.example"}),
    (422, "POST", PREDICT, b"", {}),
    (422, "POST", "/v1/feedback", b"{}", {}),
]


@pytest.mark.parametrize(("status", "method", "path", "body", "headers"), REFUSED)
def test_what_is_not_allowed_is_refused_with_a_message(
    gateway: Running,
    status: int,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
) -> None:
    got = gateway.ask(path, body, headers, method)
    assert got.status == status
    assert "allowed" in got.json["error"] or "Expected" in got.json["error"] or status == 422
    if status == 405:
        assert got.headers["allow"] in ("GET", "POST")


HOSTILE: list[tuple[bytes, str]] = [
    (b'{"inputs": {"size": NaN, "town": "a", "here": true}}', "inputs"),
    (b'{"inputs": {"size": 1e999, "town": "a", "here": true}}', "size"),
    (b'{"inputs": {"size": "x", "town": "a", "here": true}}', "inputs.size"),
    (b'{"inputs": {"size": 1, "town": "a"}}', "inputs.here"),
    (b'{"inputs": {"size": 1, "size": 2, "town": "a", "here": true}}', "size"),
    (b'{"inputs": {}, "inputs": {"size": 1, "town": "a", "here": true}}', "inputs"),
    (b'{"inputs": {"size": 1, "town": "\xff", "here": true}}', "UTF-8"),
    (b'{"inputs": {"size": 1, "town": "\\ud800", "here": true}}', "inputs"),
    (b'{"inputs": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", ""),
    (
        b'{"inputs": {"size": 1, "town": "a", "here": true, "z": '
        + b"[" * 9000
        + b"]" * 9000
        + b"}}",
        "",
    ),
    (b'{"inputs": []}', "inputs"),
    (b'{"inputs": [' + b",".join([b"{}"] * 1001) + b"]}", "inputs"),
    (b'{"inputs": {"size": 1, "town": "a", "here": true}, "unit": ""}', "unit"),
    (b'{"inputs": {"size": 1, "town": "a", "here": true}, "more": 1}', "more"),
    (b'{"inputs": {"size": 1, "town": "a", "here": true}} x', ""),
]


@pytest.mark.parametrize(("body", "named"), HOSTILE)
def test_hostile_json_is_refused_and_the_field_is_named(
    gateway: Running, body: bytes, named: str
) -> None:
    got = gateway.ask(PREDICT, body)
    assert got.status == 422
    assert named in got.json["error"]


def test_a_huge_integer_is_accepted_or_refused_at_once(gateway: Running) -> None:
    body = b'{"inputs": {"size": ' + b"9" * 50_000 + b', "town": "a", "here": true, "z": 1}}'
    began = time.monotonic()
    assert gateway.ask(PREDICT, body).status in (200, 422)
    assert time.monotonic() - began < slowed(10)


def test_a_body_beyond_the_limit_is_refused_while_it_comes(gateway: Running) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), 30) as caller:
        head = f"POST {PREDICT} HTTP/1.1\r\n{HEAD}transfer-encoding: chunked\r\n\r\n"
        caller.sendall(head.encode())
        for _ in range(5):
            caller.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        assert caller.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_that_never_comes_is_not_waited_for(gateway: Running) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), 30) as caller:
        head = f"POST {PREDICT} HTTP/1.1\r\n{HEAD}content-length: 10\r\n\r\n{{"
        caller.sendall(head.encode())
        assert caller.recv(100).startswith(b"HTTP/1.1 408")


def test_bodies_that_come_slowly_take_no_place_of_other_requests(gateway: Running) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\n{HEAD}content-length: 10\r\n\r\n{{"
    with ExitStack() as stack:
        for _ in range(600):
            address = ("127.0.0.1", gateway.port)
            caller = stack.enter_context(socket.create_connection(address, 30))
            caller.sendall(head.encode())
        began = time.monotonic()
        while time.monotonic() - began < 1:
            assert gateway.predict(GOOD).status == 200


def test_a_service_whose_model_is_not_loaded_replies_try_again(
    site: Site, gateway: Running
) -> None:
    site.route("later", champion=7)
    missing = "v7 is not fetched yet"
    gateway.await_all("later", lambda state: state.get("wanted_reason") == missing)
    assert gateway.predict(GOOD, "later").json["error"] == f"later: {missing}"
    page = gateway.ask("/readyz")
    assert page.json["problems"] == [f"later: v7 is wanted: {missing}; nothing serves"]
    assert (page.status, page.json["ready"]) == (200, True), "the others can be answered"
    got = gateway.predict(GOOD, "later")
    assert got.status == 503
    assert int(got.headers["retry-after"]) >= 1
    site.serve_more("later", 7)
    gateway.await_champion("later", 7)
    assert gateway.predict(GOOD, "later").json["version"] == 7
    gateway.await_ready()


def test_metrics_count_the_answers_and_never_decrease(gateway: Running) -> None:
    def count() -> float:
        families = text_string_to_metric_families(gateway.ask("/metrics").text.decode())
        samples = [item for family in families for item in family.samples]
        return sum(
            item.value
            for item in samples
            if item.name == "sluice_requests_total" and item.labels["service"] == "towns"
        )

    wait_until(lambda: count() == count())
    before = count()
    for _ in range(20):
        gateway.predict(GOOD)
    wait_until(lambda: count() == before + 20)


def test_feedback_counts_once_for_the_arm_that_answered(gateway: Running) -> None:
    def count() -> tuple[int, int]:
        runs = gateway.ask("/v1/counters").json["worker_runs"]
        entries = [entry for run in runs for entry in run["counters"]]
        return (sum(e["feedbacks"] for e in entries), sum(e["negatives"] for e in entries))

    before = count()
    gateway.predict(GOOD, request_id="liked")
    bodies: list[dict[str, Any]] = [
        {"request_id": "liked", "rating": -1.0},
        {"request_id": "liked", "rating": 1.0},
        {"request_id": "nobody", "rating": -1.0},
        {"request_id": "liked", "label": "yes"},
    ]
    for body in bodies:
        got = gateway.ask("/v1/feedback", body)
        assert (got.status, got.json["accepted"]) == (202, True)
    wait_until(lambda: count() == (before[0] + 1, before[1] + 1))
    assert gateway.ask("/v1/feedback", {"request_id": "liked", "rating": 2}).status == 422


def test_keys_open_what_they_are_for_and_nothing_else(site: Site) -> None:
    every, some = (sha256(key).hexdigest() for key in (b"master", b"guest"))
    keys = f"{every},{some} elsewhere"
    options = ("--workers", "1", "--no-fetcher", "--no-log-writer")
    with run_gateway(site, *options, name="locked", SLUICE_GATEWAY_KEYS=keys) as locked:
        body = {"inputs": GOOD}
        for key, said in (
            ("", "no API key was given"),
            ("wrong", "this API key is not known here"),
            ("guest", "this API key does not open towns, but other services"),
        ):
            got = locked.ask(PREDICT, body, {"x-api-key": key} if key else {})
            assert got.status == 401
            assert got.json["error"].startswith(said)
        assert locked.ask(PREDICT, body, {"x-api-key": "master"}).status == 200
        assert locked.ask(PREDICT, body, {"authorization": "Bearer master"}).status == 200
        saying = {"request_id": "mine", "rating": -1}
        named = {**saying, "service": "towns"}
        locked.ask(PREDICT, {**body, "request_id": "mine"}, {"x-api-key": "master"})
        refused = locked.ask("/v1/feedback", named, {"x-api-key": "guest"})
        assert (refused.status, refused.json["request_id"]) == (401, "mine")
        assert refused.json["error"] == "this API key does not open towns, but other services"
        assert locked.ask("/v1/feedback", saying, {"x-api-key": "guest"}).status == 202
        assert locked.ask("/v1/feedback", saying, {"x-api-key": "master"}).status == 202
        told = [item for item in read_log(locked.folder) if isinstance(item, Feedback)]
        assert [(item.service, item.counts_rating) for item in told] == [
            ("elsewhere", False),
            ("towns", True),
        ]
        assert locked.ask("/readyz").status == 200
        got = locked.ask("/openapi.json").json
        assert got["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
