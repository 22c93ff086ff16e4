"""The status page over HTTP: what it shows, and that a GET changes nothing."""

import re
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event

from sluice.adapters.control.store import Control, open_control
from sluice.control.watermark import CONFLICT_SUBJECT, NO_CONFLICT
from sluice.home import Home
from support.rollouts.page import run_page

HOSTILE = "<script>alert(1)</script> & \"quotes\" 'too'"
PLACES = (
    "/",
    "/services/shop",
    "/services/shop/1",
    "/nowhere",
    "/page.js",
    "/v1/rollouts",
    "/v1/services",
    "/v1/services/shop",
    "/v1/x",
)


def plain(page: httpx.Response) -> str:
    """Return a page's text as a person reads it."""
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


def test_all_services_are_listed_with_champion_and_phase(page: httpx.Client) -> None:
    text = plain(page.get("/"))
    assert re.search(r"quiet v3 since [\d:]+ , route no rollout", text)
    assert re.search(r"shop .*v1 since [\d: -]+ , route canary v3 at 5 %, canary rollout 2, ", text)


def test_a_store_without_any_service_says_how_one_comes(tmp_path: Path) -> None:
    control = open_control(Home(tmp_path))
    control.prepare()
    with run_page(control) as client:
        assert "No service has a champion yet" in client.get("/").text


def test_a_conflict_is_shown_until_it_is_settled(tmp_path: Path) -> None:
    control = open_control(Home(tmp_path))
    control.prepare()
    control.routes.follow_champion("town", 1)
    conflict = "the registry does not have <v1>"
    seen = control.watermarks.find("town", CONFLICT_SUBJECT)
    control.watermarks.move(seen, seen.announce(conflict, datetime.now(UTC)))
    with run_page(control) as client:
        for place in ("/", "/services/town"):
            assert "Conflict: the registry does not have &lt;v1&gt;." in client.get(place).text
        assert client.get("/v1/rollouts/town").json()["data"]["conflict"] == conflict
    seen = control.watermarks.find("town", CONFLICT_SUBJECT)
    control.watermarks.move(seen, seen.settle(NO_CONFLICT))
    with run_page(control) as client:
        assert "Conflict" not in client.get("/").text + client.get("/services/town").text


def test_a_service_shows_stages_arms_rules_decisions_and_commands(page: httpx.Client) -> None:
    answer = page.get("/services/shop")
    text = plain(answer)
    for words in (
        "v3 beside v1 5 % of traffic",
        "block 7 of 20 to 60",
        "candidate v3 5 %",
        "champion v1 95 %",
        "error_margin",
        "to pass: none yet of 3.00",
        "advance",
        "shadow: every test passed",
        "it is over",
    ):
        assert words in text, words
    assert answer.text.count('class="chart"') >= 4
    assert text.index("it is over") < text.index("stage shadow"), "newest first"


def test_an_ended_rollout_has_its_page_and_where_it_was_stopped(page: httpx.Client) -> None:
    text = plain(page.get("/services/shop/1"))
    assert "This is rollout 1. The last one is rollout 2 ." in text
    assert "rolled back v2 beside v1 0 % of traffic" in text
    assert "stopped at block" in text
    assert text.count("No command now: this rollout is over.") == 1
    assert "No tick for" not in text


def test_a_service_without_a_rollout_says_how_to_start_one(page: httpx.Client) -> None:
    text = plain(page.get("/services/quiet"))
    assert "sluice rollout quiet" in text
    assert text.count("No command now: no rollout is under way.") == 1


def test_what_a_person_typed_never_becomes_markup(page: httpx.Client) -> None:
    for place in ("/", "/services/shop"):
        text = page.get(place).text
        assert "<script>" not in text
        assert "alert(1)" not in text or "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "by &lt;script&gt;" in page.get("/services/shop").text


def test_the_same_facts_come_as_json(page: httpx.Client) -> None:
    reply = page.get("/v1/rollouts/shop").json()
    service = reply["data"]
    assert (reply["problem"], reply["age_seconds"] < 60) == ("", True)
    assert (service["champion"], service["candidate"], service["weight"]) == (1, 3, 0.05)
    rollout = service["rollout"]
    assert rollout["summary"]["phase"] == "canary"
    assert [stage["state"] for stage in rollout["stages"]][:3] == ["past", "now", "ahead"]
    assert {"error_rate", "error_margin"} <= {rule["name"] for rule in rollout["rules"]}
    assert any(command["by"] == HOSTILE for command in service["commands"])
    assert [item["number"] for item in service["rollouts"]] == [2, 1]
    rows = page.get("/v1/rollouts").json()["data"]["services"]
    assert [row["service"] for row in rows] == ["quiet", "shop"]
    first = page.get("/v1/rollouts/shop/1").json()["data"]["rollout"]
    assert first["summary"]["number"] == 1


@pytest.mark.parametrize("place", PLACES)
def test_every_answer_forbids_what_is_not_its_own(page: httpx.Client, place: str) -> None:
    headers = page.get(place).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


COMMANDS = "/v1/rollouts/shop/commands"
FOREIGN = (
    {"host": "evil.example"},
    {"host": "localhost.evil.example:8090"},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"sec-fetch-site": "cross-site"},
)
"""What a page of another site says of itself, or of the name that led it here."""


@pytest.mark.parametrize("place", [*PLACES, "/healthz", "/page.css", COMMANDS])
@pytest.mark.parametrize("headers", FOREIGN, ids=lambda item: "=".join(*item.items()))
def test_another_host_or_page_reads_and_commands_nothing(
    page: httpx.Client, stored: Control, place: str, headers: dict[str, str]
) -> None:
    before = len(stored.commands.list_commands("shop"))
    command = {"action": "roll-back", "by": "Eve", "reason": "none"}
    for method in ("GET", "POST", "OPTIONS"):
        key = {"Authorization": "Bearer steer"}
        answer = page.request(method, place, json=command, headers={**key, **headers})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert len(stored.commands.list_commands("shop")) == before


def test_the_page_needs_nothing_from_elsewhere(page: httpx.Client) -> None:
    for place in ("/", "/services/shop", "/page.css", "/page.js"):
        assert not re.search(r"(https?:)?//[a-z]", page.get(place).text), place
    assert not re.search(r" (style|on[a-z]+)=", page.get("/services/shop").text)


def test_a_head_asks_for_no_body(page: httpx.Client) -> None:
    answer = page.head("/services/shop")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "place", ["/nowhere", "/services", "/services/nobody", "/services/shop/9", "/services/shop/x"]
)
def test_what_is_not_there_is_a_page_that_says_so(page: httpx.Client, place: str) -> None:
    answer = page.get(place)
    assert answer.status_code == 404
    assert "no such rollout" in plain(answer)


def test_what_is_not_there_for_a_program_is_json(page: httpx.Client) -> None:
    answer = page.get("/v1/rollouts/nobody")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("path: found /v1/rollouts/nobody; allowed: /")


@pytest.mark.parametrize("place", ["/", "/services/shop", "/v1/rollouts", "/page.js", "/healthz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused(page: httpx.Client, place: str, method: str) -> None:
    answer = page.request(method, place)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_no_get_is_a_command(page: httpx.Client, stored: Control) -> None:
    before = stored.commands.list_commands("shop")
    query = {"action": "abort", "by": "Ada", "reason": "x"}
    answer = page.get(
        "/v1/rollouts/shop/commands", params=query, headers={"Authorization": "Bearer steer"}
    )
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert stored.commands.list_commands("shop") == before


def test_simultaneous_requests_share_one_read(stored: Control) -> None:
    transactions: list[object] = []

    def note(connection: object) -> None:
        transactions.append(connection)

    engine = stored._database.engine
    event.listen(engine, "begin", note)
    try:
        with run_page(stored) as client:
            callers = [threading.Thread(target=client.get, args=("/",)) for _ in range(20)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
    finally:
        event.remove(engine, "begin", note)
    # A read of all services is 9 transactions; on a slow machine one more second is a second read.
    assert 9 <= len(transactions) <= 27
