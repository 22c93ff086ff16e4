"""The status page over HTTP, on a real store: one healthy service, one with every trouble."""

import html
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from serving.page.status.facts import FeedbackStatus, PageAddresses, Surroundings, TrafficStatus
from serving.page.status.files import FileReader
from sluice.adapters.control.store import Control, open_control
from sluice.config.monitoring.rules import Runbook
from sluice.control.drift import AlarmChange, DriftedFeature, DriftState, WindowOutcome
from sluice.control.release import HALTED, REGISTERED, GateResult, ReleaseRecord
from sluice.home import Home
from support.rollouts.page import run_page

HOSTILE = "<script>alert(1)</script> & \"quotes\" 'too'"
NOW = datetime.now(UTC)
ALERTS = """CREATE TABLE IF NOT EXISTS alerts (
    service TEXT NOT NULL, rule TEXT NOT NULL, revision INTEGER NOT NULL,
    state TEXT NOT NULL, PRIMARY KEY (service, rule))"""
LATENCY = Runbook(
    means="Callers wait too long.",
    look="The log of `sluice status`.",
    do=f"`sluice rollback SERVICE`; {HOSTILE}",
)
LONG = "hours_of_work_in_the_usual_week_of_the_year_before"
LINKS = PageAddresses("http://127.0.0.1:5000", "http://127.0.0.1:4200")


class FixedFiles(FileReader):
    """Log and configuration as they would be read."""

    def read(self) -> Surroundings:
        """Return the same facts each time."""
        return Surroundings(
            {"calm": "", "sick": "", "new": "", "torn": f"configs/torn.yaml: {HOSTILE}"},
            {"calm": TrafficStatus(600, 3, newest=NOW), "sick": TrafficStatus(newest=NOW)},
            {"calm": FeedbackStatus(12, 1, newest=NOW), "sick": FeedbackStatus(problem="gone")},
            LINKS,
            {"latency": LATENCY},
        )


class SlowFiles(FixedFiles):
    """Files whose first read lasts until the test lets it end."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.may_end = threading.Event()

    def read(self) -> Surroundings:
        self.may_end.wait(60)
        return super().read()


def add_release(control: Control, service: str, outcome: str, *gates: GateResult) -> None:
    run = f"run-{service}"
    flow = f"flow-{service}"
    control.releases.open(ReleaseRecord(service, run, "7", flow, 3, "data.changed", NOW))
    for gate in gates:
        control.releases.add_gate(service, run, gate)
    version = 1 if outcome == REGISTERED else None
    message = "" if version else f"CandidateWorse: {HOSTILE}; next: add rows"
    control.releases.close(service, run, outcome, NOW, version, message)


def add_alert(control: Control, rule: str, **facts: object) -> None:
    state = {"phase": "firing", "outcome": "broken", "reason": HOSTILE, "since": NOW.isoformat()}
    with control._database.transact("a test") as connection:
        connection.execute(text(ALERTS))
        values = {"rule": rule, "state": json.dumps({**state, **facts})}
        statement = "INSERT INTO alerts VALUES ('sick', :rule, 1, :state)"
        connection.execute(text(statement), values)


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Control:
    control = open_control(Home(tmp_path_factory.mktemp("status")))
    control.prepare()
    control.routes.follow_champion("calm", 1)
    good = GateResult("data", "pass", "47 rules hold")
    add_release(control, "calm", REGISTERED, good)
    add_release(control, "sick", HALTED, good, GateResult("evaluation", "fail", HOSTILE))
    drift = DriftState(
        *("sick", "data", "training", 1),
        NOW - timedelta(hours=1),
        NOW,
        WindowOutcome.ALARM,
        True,
        AlarmChange.OPENED,
        NOW,
        (False, True, True),
        2412,
        (
            DriftedFeature(HOSTILE, {"psi": 0.31, "js": None}, "significant", ("distribution",)),
            DriftedFeature(LONG, findings=("null rate",)),
            DriftedFeature("age", {"psi": 0.01}),
        ),
        HOSTILE,
        "http://127.0.0.1:4200/report",
    )
    control.drift.record(drift)
    window = (NOW - timedelta(hours=1), NOW, WindowOutcome.NOT_JUDGED)
    unjudged = DriftState("sick", "label", "training", 1, *window, reason="not enough data: 3 rows")
    control.drift.record(replace(unjudged, features=(DriftedFeature(LONG, {"drift": 0.0}),)))
    add_alert(control, "latency", value=912.0, limit=500.0)
    add_alert(control, "accuracy", silenced_until=(NOW + timedelta(hours=1)).isoformat())
    add_alert(control, "nulls", phase="quiet", outcome="not judged")
    return control


@pytest.fixture(scope="module")
def status(control: Control, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    files = FixedFiles(Home(tmp_path_factory.mktemp("home")))
    with run_page(control, files=files) as client:
        await_files(client)
        yield client


def await_files(client: httpx.Client) -> None:
    """Wait until log and configuration were read, as a first visitor does not."""
    deadline = time.monotonic() + 60
    while "being read" in client.get("/").text and time.monotonic() < deadline:
        time.sleep(0.02)


def plain(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


def test_a_first_visitor_does_not_wait_for_log_and_configuration(
    control: Control, tmp_path: Path
) -> None:
    files = SlowFiles(Home(tmp_path))
    with run_page(control, files=files) as client:
        try:
            row = find_row(client.get("/"), "calm")
            page = plain(client.get("/services/calm"))
        finally:
            files.may_end.set()
        for text in (row, page):
            assert "v1 since" in text
            assert "being read, in a moment" in text
            assert "No file in configs/" not in text
        await_files(client)
        assert "120.0 a minute" in find_row(client.get("/"), "calm")


def find_row(page: httpx.Response, service: str) -> str:
    rows = re.findall(r"<tr.*?</tr>", page.text)
    (row,) = [row for row in rows if f'href="/services/{service}"' in row]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row))


def test_a_healthy_service_says_so_in_each_column(status: httpx.Client) -> None:
    row = find_row(status.get("/"), "calm")
    for words in ("v1 since", ", route", "passed, v1", "120.0 a minute", "3 of 600 failed"):
        assert words in row, words
    assert re.search(r"12 labels in 24 h newest [\w ]+ ago, 1 without a label", row)
    assert row.count("not measured yet") == 3


def test_a_service_in_trouble_names_each(status: httpx.Client) -> None:
    row = find_row(status.get("/"), "sick")
    for words in (
        "1 alert",
        "drift",
        "last release halted",
        "nothing serves",
        "evaluation gate stopped it",
        "data drift",
        "1 firing latency, since",
        "1 silenced, 1 not judged",
        "none in 5 min last answer",
        "not readable gone",
    ):
        assert words in row, words


def test_a_service_that_is_only_configured_has_a_row_and_a_page(status: httpx.Client) -> None:
    row = find_row(status.get("/"), "new")
    for words in ("nothing serves", "no rollout", "no release on record", "no answer logged yet"):
        assert words in row, words
    page = plain(status.get("/services/new"))
    assert "Not measured yet: no window" in page
    assert "Not measured yet: no rule" in page
    assert page.count("None on record yet.") == 1


def test_a_broken_configuration_names_what_is_wrong(status: httpx.Client) -> None:
    assert "configuration is broken" in find_row(status.get("/"), "torn")
    page = plain(status.get("/services/torn"))
    assert "so nothing that needs it starts: configs/torn.yaml:" in page


def test_those_that_need_attention_stand_first(status: httpx.Client) -> None:
    names = re.findall(r'class="name">([a-z]+)<', status.get("/").text)
    assert names == ["sick", "torn", "calm", "new"]
    assert "4 services 2 to look at" in plain(status.get("/"))


def test_the_page_of_a_service_has_its_gates_features_and_rules(status: httpx.Client) -> None:
    page = plain(status.get("/services/sick"))
    for words in (
        "data: pass evaluation: fail",
        "psi 0.31, js not judged",
        "significant, distribution",
        "2 of the last 3 windows alarm",
        "silenced until",
        "Not judged: nulls.",
        "1 change of alarms",
    ):
        assert words in page, words


def test_the_page_of_a_service_says_what_to_do_about_each_finding(status: httpx.Client) -> None:
    page = status.get("/services/sick")
    advice = page.text[page.text.index('id="advice"') : page.text.index('id="live-standing"')]
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", advice))
    for expected in (
        "Callers wait too long.",
        "Look at: The log of sluice status .",
        "Do: sluice rollback sick ;",
        "sluice monitoring silence latency sick --until &#x27;4 h&#x27; --by NAME --reason WORDS",
        f"data drift {html.escape(HOSTILE)}, {LONG}",
        "sluice drift sick --report drift.html",
        "last release halted CandidateWorse:",
    ):
        assert expected in words, expected
    assert "<code>sluice rollback sick</code>" in advice
    assert "accuracy" not in words  # silenced
    assert 'id="advice"' not in status.get("/services/calm").text


def test_features_without_a_finding_unfold_and_those_not_judged_are_left_out(
    status: httpx.Client,
) -> None:
    page = status.get("/services/sick").text
    table, _, folded = page[page.index('id="live-drift"') :].partition("<details")
    assert "psi 0.31, js not judged" in table
    assert "1 feature without a finding" in folded
    unjudged = page[page.index("<b>label</b>") :].partition("</li>")[0]
    assert "not enough data: 3 rows" in unjudged
    assert "hours_of_work" not in unjudged


def test_a_long_name_of_a_feature_is_cut_in_the_table_alone(status: httpx.Client) -> None:
    row = find_row(status.get("/"), "sick")
    assert "hours_of_work_in_the_usual_… , since" in row  # `age` did not move
    assert LONG not in row
    assert f'title="{LONG}"' in status.get("/").text
    assert f">{LONG}</th>" in status.get("/services/sick").text


def test_without_any_label_the_span_that_was_searched_is_named(status: httpx.Client) -> None:
    assert "no label in 7 days" in find_row(status.get("/"), "new")


def test_links_lead_to_run_registry_and_report(status: httpx.Client) -> None:
    page = status.get("/services/sick").text
    for address in (
        "http://127.0.0.1:4200/runs/flow-run/flow-sick",
        "http://127.0.0.1:5000/#/experiments/7/runs/run-sick?workflowType=machine_learning",
        "http://127.0.0.1:4200/report",
    ):
        assert f'href="{address}" rel="noreferrer"' in page, address


def test_what_others_wrote_never_becomes_markup(status: httpx.Client) -> None:
    for place in ("/", "/services/sick", "/services/torn"):
        page = status.get(place).text
        assert "<script>alert" not in page
        assert not re.search(r" (style|on[a-z]+)=", page)
    assert "&lt;script&gt;alert(1)" in status.get("/services/sick").text


def test_the_same_facts_come_as_json(status: httpx.Client) -> None:
    reply = status.get("/v1/services").json()
    cards = {card["standing"]["row"]["service"]: card for card in reply["data"]["services"]}
    assert (reply["problem"], list(cards)) == ("", ["sick", "torn", "calm", "new"])
    assert cards["calm"]["standing"]["health"]["drift"] is None
    assert cards["sick"]["standing"]["health"]["drift"][0]["is_open"] is True
    assert cards["sick"]["attention"] == ["1 alert", "drift", "last release halted"]
    one = status.get("/v1/services/sick").json()["data"]
    assert one["history"]["releases"][0]["gates"][1]["outcome"] == "fail"
    assert status.get("/v1/services/nobody").status_code == 404


def test_former_addresses_still_answer(status: httpx.Client) -> None:
    assert status.get("/v1/rollouts").json()["data"]["services"][0]["service"] == "calm"
    assert status.get("/v1/rollouts/calm").json()["data"]["champion"] == 1
    assert status.get("/services/calm").status_code == 200


def test_a_page_without_its_files_still_shows_the_store(control: Control, tmp_path: Path) -> None:
    with run_page(control) as client:
        assert "evaluation gate stopped it" in find_row(client.get("/"), "sick")
