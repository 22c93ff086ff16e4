"""Experiments from a terminal: what is printed, and that each step says what comes next."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from sluice.adapters.control.store import prepare_control
from sluice.control.route import Route
from sluice.errors import ExperimentRefused
from sluice.home import Home

NAME = "employment-feedback"
WHO = ("--by", "Ada", "--reason", "a test")


@pytest.fixture(autouse=True)
def _alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.root.mkdir(parents=True)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sluice.adapters.server.notes.is_there", lambda _: False)
    monkeypatch.setattr("sluice.adapters.server.home_server.server_environment", lambda _: {})


def say(*words: str) -> Result:
    return CliRunner().invoke(app, ["experiment", *words])


def test_a_plan_says_units_days_and_what_the_traffic_finds(home: Home) -> None:
    shown = say("plan", NAME)
    assert shown.exit_code == 0, shown.output
    for part in ("users needed", "duration", "What the traffic finds", "as assumed"):
        assert part in shown.output
    assert f"next: `sluice experiment start {NAME}`" in " ".join(shown.output.split())
    assert (home.experiments / f"{NAME}-1.html").read_text().startswith("<!doctype html>")
    plan = json.loads(say("plan", NAME, "--json").stdout)
    assert plan["units"] > 10_000
    assert plan["seconds"] > 7 * 86_400


def test_the_status_of_all_shows_what_was_never_planned() -> None:
    shown = say("status").output
    assert NAME in shown
    assert "not planned" in shown
    assert "not planned yet" in say("status", NAME).output


def test_steps_are_refused_by_name() -> None:
    for words, step in (
        (("analyse", NAME), "step 3, sample size"),
        (("decide", NAME, "discard", *WHO), "step 3, sample size"),
    ):
        refused = say(*words)
        assert isinstance(refused.exception, ExperimentRefused)
        assert step in str(refused.exception)


def test_a_running_one_is_shown_and_ends_with_a_decision(home: Home) -> None:
    assert say("plan", NAME).exit_code == 0
    control = prepare_control(home)
    control.routes.swap(None, Route("employment", 1))
    lease = control.leases.acquire("employment", "experiment", "first", 15)
    from dataclasses import replace

    planned = control.experiments.find(NAME)
    assert planned is not None
    ready = replace(planned, control=1, treatment=2, salt="s")
    control.experiments.start(lease, ready, 15.0, datetime.now(UTC), "Ada")
    shown = say("status", NAME)
    assert shown.exit_code == 0, shown.output
    assert "v1 control, v2 treatment at 10%" in shown.output
    assert "not known" in shown.output  # nothing was logged
    early = say("analyse", NAME)
    assert "step 5, the calculated duration" in str(early.exception)
    decided = say("decide", NAME, "discard", *WHO)
    assert decided.exit_code == 0, decided.output
    assert "discard by Ada: a test" in decided.output
    assert "its server is not there" in decided.output
    again = say("decide", NAME, "discard", *WHO)
    assert again.exit_code == 0, again.output
    other = say("decide", NAME, "iterate", *WHO)
    assert "was decided already" in str(other.exception)
    route = control.routes.find("employment")
    assert route is not None
    assert route.candidate is None
