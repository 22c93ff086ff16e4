"""A release that a person decides on, and the page of all releases, through the real flows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import open_registry
from sluice.config.service import ServiceConfig
from sluice.home import SAMPLES, Home
from support.releases.runs import (
    artifacts_of,
    gate_runs_of,
    logs_of,
    release_with,
    run_sluice,
    text_of,
)
from support.releases.services import make_quick
from support.servers.images import add_registry_database

pytestmark = pytest.mark.slow

DECISION = {"decision": "approve", "by": "Ada", "reason": "the floor is near enough"}


def configure(floor: float, on_insufficient: str) -> ServiceConfig:
    """Return the default service made quick, with one floor."""
    return make_quick(floors={"auc": floor}, on_insufficient=on_insufficient)


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Return a state folder with 4,000 rows of a year."""
    from flows.ingest import ingest

    with pytest.MonkeyPatch.context() as patch:
        root: Path = tmp_path_factory.mktemp("decided")
        add_registry_database(Home(root))
        patch.setenv("SLUICE_HOME", str(root))
        patch.setattr("flows.ingest.load_service", lambda *_: configure(0.5, "halt"))
        file = root / "rows.parquet"
        root.mkdir(exist_ok=True)
        rows = pd.read_parquet(SAMPLES / "acs_employment_2015.parquet").head(4_000)
        rows.to_parquet(file)
        state = ingest("employment", str(file), return_state=True)
        assert state.is_completed(), state.message
        yield Home(root)


@pytest.fixture(scope="module")
def halted(home: Home) -> Any:
    """Return a release that halts because its evaluation is insufficient."""
    return release_with(configure(0.82, "halt"), "undecided")


@pytest.fixture(scope="module")
def waiting(home: Home, halted: Any) -> Any:
    """Return the same release, where a person decides."""
    return release_with(configure(0.82, "approve"), "left to a person")


@pytest.fixture(scope="module")
def approved(waiting: Any) -> Any:
    """Return the run of a person's approval."""
    from flows.approve import approve

    return approve("employment", **DECISION, return_state=True)


def test_insufficient_evaluation_halts_by_default(halted: Any) -> None:
    assert halted.message.startswith("EvidenceInsufficient: auc ")


def test_insufficient_evaluation_waits_for_a_person(home: Home, waiting: Any) -> None:
    assert waiting.is_completed(), waiting.message
    assert gate_runs_of(waiting)["evaluation"].run_count == 1
    assert any("insufficient, a person decides: auc " in line for line in logs_of(waiting))
    assert any("waits for a person's approval until" in line for line in logs_of(waiting))
    assert waiting.result().approval_deadline


def test_request_shows_the_verdicts_and_how_to_decide(waiting: Any) -> None:
    page = artifacts_of(waiting)["employment-approval"].data
    for words in (
        "# employment v1 waits for your approval",
        "**The evaluation gate is undecided:** auc ",
        "`sluice approve employment --version 1 --by NAME --reason WORDS`",
        "## bias gate: pass",
        "| no champion | candidate v1 |",
    ):
        assert words in page


def test_links_of_the_request_are_valid(home: Home, waiting: Any) -> None:
    page = artifacts_of(waiting)["employment-approval"].data
    client = open_registry(home).store.client()
    files = re.findall(r"#/experiments/(\d+)/runs/(\w+)/artifacts/([\w./]+)\?", page)
    assert {path for *_, path in files} == {"model_card.md", "data_docs/validation.html"}
    for experiment, run, path in files:
        assert client.get_run(run).info.experiment_id == experiment
        folder = str(Path(path).parent).removeprefix(".")
        assert path in [item.path for item in client.list_artifacts(run, folder or None)]
    [version] = re.findall(r"#/models/employment/versions/(\d+)\?workflowType=", page)
    assert client.get_model_version("employment", version)


def test_decision_is_logged(home: Home, approved: Any) -> None:
    decisions = open_control(home).approvals.list_decisions("employment")
    assert [(item.answer.value, item.by) for item in decisions] == [("approved", "Ada")]


def test_approved_version_becomes_champion_as_after_a_release(home: Home, approved: Any) -> None:
    assert approved.is_completed(), approved.message
    champion = open_registry(home).find_alias("employment", "champion")
    assert champion is not None
    assert champion.tags["sluice.verdict.evaluation"] == "insufficient"
    assert champion.tags["sluice.approval.by"] == "Ada"
    assert open_registry(home).find_alias("employment", "candidate") is None


def test_history_is_published_after_a_halt_and_after_a_pass(
    halted: Any, waiting: Any, approved: Any
) -> None:
    first, second, third = (
        text_of(artifacts_of(state)["employment-history"].data)
        for state in (halted, waiting, approved)
    )
    assert "| EvidenceInsufficient: auc " in first
    assert "evaluation: insufficient" in first
    assert second.index("left to a person") < second.index("undecided code")
    assert "v1 candidate (waits for approval)" in second
    assert "v1 champion (approved)" in third
    assert "data:image/png;base64," in third
    assert len(third) < 200_000


def test_the_timeline_has_releases_and_decision_with_who_why_and_from_where(
    home: Home, halted: Any, waiting: Any, approved: Any
) -> None:
    entries = open_control(home).timeline.list_entries("employment")
    found = [(item.action, item.version, item.by, item.reason) for item in reversed(entries)]
    assert [item for item in found if item[0] != "route"] == [
        ("release", None, "", "undecided"),
        ("release", 1, "", "left to a person"),
        ("approved", 1, "Ada", "the floor is near enough"),
    ]
    results = [item.message for item in reversed(entries)]
    assert results[0].startswith("halted: EvidenceInsufficient: auc ")
    assert results[1] == "registered v1 as candidate"
    assert all(item.origin for item in entries if item.action != "route")
    assert [item.message for item in entries if item.action == "route"] == ["v1 serves"]
    page = text_of(artifacts_of(approved)["employment-timeline"].data)
    assert "approved v1 | Ada | the floor is near enough |" in page


def test_runs_have_tags_and_names_for_filters(halted: Any, approved: Any) -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        runs = [client.read_flow_run(s.state_details.flow_run_id) for s in (halted, approved)]
    assert runs[0].name == "employment data v0 undecided"
    assert runs[1].name == "employment v1 approve"
    about = {"service:employment", "environment:development"}
    assert [set(run.tags) for run in runs] == [{*about, "outcome:halted"}, about]


def test_show_and_history_print_it_in_the_terminal(home: Home, approved: Any) -> None:
    shown = run_sluice("show", "employment", home=home.root).stdout
    assert "Decisions on employment" in shown
    assert "the floor is near enough" in shown
    history = run_sluice("history", "employment", home=home.root).stdout
    assert "champion" in history
    assert "insufficient" in history


def test_decision_in_the_terminal_is_the_same_flow(home: Home, approved: Any) -> None:
    words = ("--by", "Bob", "--reason", "late")
    ended = run_sluice("refuse", "employment", *words, home=home.root)
    assert ended.returncode == 2
    assert "DecisionRefused: approval of employment v1 is approved already" in ended.stdout
