"""A released model is made again with the code of its commit, and compared to the last bit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.client import open_registry
from sluice.config.service import ServiceConfig
from sluice.documents import parse_json
from sluice.home import SAMPLES, Home
from sluice.report.markdown import PAGE_PIXELS, measure_table
from support.releases.encoded import MODEL
from support.releases.runs import artifacts_of
from support.releases.services import make_quick
from support.releases.sources import events_of
from support.reproduction.project import copy_project, git
from support.servers.images import add_registry_database

pytestmark = pytest.mark.slow
ROWS = 1_200


def configure() -> ServiceConfig:
    """Return the default service with a small forest, whose trees depend on the seed."""
    forest = MODEL.validate_python({"kind": "random_forest", "trees": 12, "seed": 3})
    config = make_quick(margin=0.2)
    return config.model_copy(update={"model": forest})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project") / "sluice")


@pytest.fixture(scope="module")
def released(api: str, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    from flows.ingest import ingest
    from flows.release import release

    root: Path = tmp_path_factory.mktemp("reproduced")
    add_registry_database(Home(root))
    rows = pd.read_parquet(SAMPLES / "acs_employment_2015.parquet").head(ROWS)
    rows.to_parquet(root / "rows.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(root))
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


def reproduce(seed: int = -1) -> Any:
    from flows.reproduction.reproduce import reproduce as flow

    return flow("employment", 1, seed, return_state=True)


def read_facts(home: Home) -> dict[str, Any]:
    registry = open_registry(home)
    found = registry.find_alias("employment", "champion")
    assert found is not None
    result = parse_json(registry.read_text(found.run_id, "reproduction.json"))
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


def test_another_seed_is_named_first_and_changes_predictions(released: Home) -> None:
    state = reproduce(seed=4)
    assert state.is_failed()
    assert state.message.startswith("ReproductionDiffers: employment v1: the first that differs is")
    assert "seed: recorded 3, now 4" in state.message
    facts = read_facts(released)
    assert facts["held-out rows"]["differing"] > 10
    assert facts["the registered model's parity rows"]["is_same"]


def test_the_projects_tree_stays_as_it_was(released: Home, project: Path) -> None:
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "worktree", "list").count("\n") == 0
