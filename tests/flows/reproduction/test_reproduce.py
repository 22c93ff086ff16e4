"""A released model is made again with the code of its commit, and compared to the last bit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.served_history import read_periods
from sluice.documents import parse_json
from sluice.home import Home
from sluice.report.markdown import PAGE_PIXELS, measure_table
from support.lineage.receiver import Receiver, check_required, read_event, receive_events
from support.releases.runs import artifacts_of
from support.releases.sources import events_of
from support.reproduction.project import copy_project
from support.reproduction.released import ROWS, configure, write_rows
from support.servers.images import add_registry_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project") / "sluice")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receive_events() as found:
        yield found


@pytest.fixture(scope="module")
def released(
    api: str, project: Path, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    from flows.ingest import ingest
    from flows.release import release

    root: Path = tmp_path_factory.mktemp("reproduced")
    add_registry_database(Home(root))
    write_rows(root / "rows.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(root))
        patch.setenv("OPENLINEAGE_URL", receiver.url)
        for place in ("tasks.release.release", "tasks.reproduction.steps"):
            patch.setattr(f"{place}.PROJECT", project)
        for flow in ("ingest", "release"):
            patch.setattr(f"flows.{flow}.load_service", lambda *_: configure())
        for state in (
            ingest("employment", str(root / "rows.parquet"), return_state=True),
            release("employment", cause="a test", return_state=True),
        ):
            assert state.is_completed(), state.message
        yield Home(root)


def reproduce() -> Any:
    from flows.reproduction.reproduce import reproduce as flow

    return flow("employment", 1, return_state=True)


def read_facts(home: Home) -> dict[str, Any]:
    registry = open_registry(home)
    found = registry.find_alias("employment", "champion")
    assert found is not None
    result = parse_json(registry.read_text(found.run_id, "evidence/reproduction.json"))
    return {item["name"]: item for item in result["facts"]}


def test_the_same_record_makes_the_same_model(released: Home, api: str) -> None:
    state = reproduce()
    assert state.is_completed(), state.message
    result = state.result()
    assert result.outcome == "identical"
    facts = read_facts(released)
    assert all(item["is_same"] for item in facts.values()), facts
    assert facts["rows of the parity sample"]["n"] == 64
    assert 200 < facts["held-out rows"]["n"] < ROWS // 2
    page = artifacts_of(state)["employment-reproduction"].data
    assert page.startswith("# employment v1: identical")
    table = "\n".join(line for line in page.splitlines() if line.startswith("|"))
    assert measure_table(table) <= PAGE_PIXELS
    [entry] = [
        item
        for item in prepare_control(released).timeline.list_entries("employment")
        if item.action == "reproduce"
    ]
    assert entry.version == 1
    assert entry.message.startswith("v1: identical: ")
    [event] = events_of(api, "employment", "reproduction.identical")
    assert event["payload"]["version"] == 1


def test_the_release_told_its_lineage(released: Home, receiver: Receiver) -> None:
    for item in receiver.events:
        check_required(item)
        read_event(item)
    told = [(item["job"]["name"], item["eventType"]) for item in receiver.events]
    assert told == [
        ("ingest.employment", "START"),
        ("ingest.employment", "COMPLETE"),
        ("release.employment", "START"),
        ("release.employment", "COMPLETE"),
    ]
    [table] = receiver.events[1]["outputs"]
    [read] = receiver.events[3]["inputs"]
    assert (table["namespace"], table["name"]) == (read["namespace"], read["name"])
    assert table["facets"]["version"]["datasetVersion"] == "0"
    assert read["inputFacets"]["dataQualityMetrics"]["rowCount"] == ROWS
    assert read["inputFacets"]["dataQualityAssertions"]["assertions"]
    written = {(item["namespace"], item["name"]) for item in receiver.events[3]["outputs"]}
    assert written == {("sluice/registry", "employment"), ("sluice/production", "employment")}


def test_the_release_is_in_the_history_of_production(released: Home) -> None:
    [found] = read_periods(prepare_control(released), "employment")
    assert (found.version, found.cause, found.reason) == (1, "first release", "a test")
    assert found.until is None
