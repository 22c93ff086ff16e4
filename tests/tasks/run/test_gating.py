"""A verdict is published as page and event before it stops a release, and only then raised."""

import time
from typing import Any

import pytest
from prefect import flow

from sluice.adapters.server.api import ask_server
from sluice.verdict import Check, Outcome, Verdict
from support.releases.runs import artifacts_of, gate_runs_of
from tasks.run.gates import pass_gate
from tasks.run.state import state_failure

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


@flow(persist_result=False, result_serializer="json")
@state_failure
def ask(verdict: Verdict, service: str) -> str:
    return pass_gate(verdict, service, "http://127.0.0.1:5000/#/runs/1").outcome.value


@flow(persist_result=False, result_serializer="json")
@state_failure
def ask_leniently(verdict: Verdict, service: str) -> str:
    return pass_gate(verdict, service, "", "approve").outcome.value


def make_verdict(gate: str, outcome: Outcome, notices: tuple[str, ...] = ()) -> Verdict:
    check = Check("auc floor", outcome, 0.79, (0.78, 0.795), 0.8, ">=", "", 2412)
    return Verdict(gate, outcome, (check,), "auc .790, floor .800", "train again", notices)


@pytest.mark.parametrize(
    ("gate", "outcome", "error"),
    [
        ("data", Outcome.FAIL, "DataRejected"),
        ("evaluation", Outcome.FAIL, "CandidateWorse"),
        ("bias", Outcome.FAIL, "BiasFound"),
        ("parity", Outcome.FAIL, "ServingDiffers"),
        ("security", Outcome.FAIL, "ReleaseInsecure"),
        ("data", Outcome.INSUFFICIENT, "EvidenceInsufficient"),
        ("evaluation", Outcome.INSUFFICIENT, "EvidenceInsufficient"),
        ("bias", Outcome.INSUFFICIENT, "EvidenceInsufficient"),
        ("parity", Outcome.INSUFFICIENT, "EvidenceInsufficient"),
    ],
)
def test_verdict_that_does_not_pass_halts(gate: str, outcome: Outcome, error: str) -> None:
    state = ask(make_verdict(gate, outcome), "alpha", return_state=True)
    command = "ingest alpha FILE" if gate == "data" else "release alpha"
    advice = f"train again; then: `sluice {command}`"
    assert state.message == f"{error}: auc .790, floor .800; next: {advice}"
    assert gate_runs_of(state)[gate].run_count == 1
    page = artifacts_of(state)[f"alpha-verdict-{gate}"].data
    assert f"# {gate} gate: {outcome.value}" in page
    assert f"Next: {advice}" in page
    assert "| auc floor | 0.790<br>[0.780, 0.795]<br>n 2,412 | ≥ 0.800 |" in page


def test_insufficient_evaluation_left_to_a_person_is_published_and_continues(api: str) -> None:
    verdict = make_verdict("evaluation", Outcome.INSUFFICIENT)
    state = ask_leniently(verdict, "left-open", return_state=True)
    assert state.result() == "insufficient"
    assert "left-open-verdict-evaluation" in artifacts_of(state)
    assert await_event(api, "gate.undecided", "sluice.service.left-open")["payload"]["reason"]


@pytest.mark.parametrize(
    ("gate", "outcome"),
    [
        ("evaluation", Outcome.FAIL),
        ("data", Outcome.INSUFFICIENT),
        ("bias", Outcome.INSUFFICIENT),
        ("parity", Outcome.INSUFFICIENT),
    ],
)
def test_nothing_else_is_left_to_a_person(gate: str, outcome: Outcome) -> None:
    assert ask_leniently(make_verdict(gate, outcome), "alpha", return_state=True).is_failed()


def test_verdict_that_passes_continues_and_shows_its_notices() -> None:
    notice = "no champion yet"
    state = ask(make_verdict("evaluation", Outcome.PASS, (notice,)), "alpha", return_state=True)
    assert state.is_completed()
    artifact = artifacts_of(state)["alpha-verdict-evaluation"]
    assert f"- {notice}" in artifact.data
    assert "http://127.0.0.1:5000/#/runs/1" in artifact.data
    assert artifact.description == "evaluation gate: pass. auc .790, floor .800"


def test_many_notices_leave_the_table_in_sight() -> None:
    notices = tuple(f"note {index}" for index in range(30))
    state = ask(make_verdict("bias", Outcome.PASS, notices), "alpha", return_state=True)
    page = artifacts_of(state)["alpha-verdict-bias"].data
    assert "note 5" in page
    assert "note 6" not in page
    assert "and 24 notes more" in page


@pytest.mark.parametrize(
    ("outcome", "name"), [(Outcome.PASS, "gate.passed"), (Outcome.FAIL, "gate.failed")]
)
def test_event_is_on_the_services_one_resource(api: str, outcome: Outcome, name: str) -> None:
    service = f"events-{outcome.value}"
    ask(make_verdict("bias", outcome), service, return_state=True)
    found = await_event(api, name, f"sluice.service.{service}")
    assert found["payload"]["gate"] == "bias"
    assert found["payload"]["outcome"] == outcome.value


def await_event(api: str, name: str, resource: str) -> dict[str, Any]:
    """Return the newest such event that the server has; it takes a moment to arrive."""
    wanted = {"event": {"name": [name]}, "resource": {"id": [resource]}}
    for _ in range(60):
        _, answer = ask_server(f"{api}/events/filter", {"filter": wanted})
        if answer["events"]:
            return dict(answer["events"][0])
        time.sleep(0.5)
    raise AssertionError(f"no event {name} of {resource}")
