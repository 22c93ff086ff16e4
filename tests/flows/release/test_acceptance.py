"""A model that is too good waits for a person, and the answer holds for the next releases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.adapters.registry.client import open_registry
from sluice.config.evaluation import Plausibility
from sluice.config.service import ServiceConfig
from sluice.home import SAMPLES, Home
from support.releases.runs import artifacts_of, logs_of, release_with
from support.releases.services import make_quick
from support.servers.images import add_registry_database

pytestmark = pytest.mark.slow


def configure(seed: int = 7, without: str = "") -> ServiceConfig:
    """Return the default service made quick, for which an area of .75 is too good."""
    model = {"iterations": 20, "seed": seed}
    return make_quick(without, model, margin=0.2, plausibility=Plausibility(share=0.51))


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    from flows.ingest import ingest

    with pytest.MonkeyPatch.context() as patch:
        root: Path = tmp_path_factory.mktemp("accepted")
        add_registry_database(Home(root))
        patch.setenv("SLUICE_HOME", str(root))
        patch.setattr("flows.ingest.load_service", lambda *_: configure())
        rows = pd.read_parquet(SAMPLES / "acs_employment_2015.parquet").head(3_000)
        rows.to_parquet(root / "rows.parquet")
        state = ingest("employment", str(root / "rows.parquet"), return_state=True)
        assert state.is_completed(), state.message
        yield Home(root)


@pytest.fixture(scope="module")
def waiting(home: Home) -> Any:
    return release_with(configure(), "too good")


@pytest.fixture(scope="module")
def accepted(waiting: Any) -> Any:
    from flows.approve import approve

    decision = {"decision": "approve", "by": "Ada", "reason": "age decides, and it is known"}
    return approve("employment", **decision, return_state=True)


def test_a_model_that_is_too_good_waits_although_the_rest_halts(home: Home, waiting: Any) -> None:
    assert configure().evaluation.on_insufficient == "halt"
    assert waiting.is_completed(), waiting.message
    assert waiting.result().approval_deadline
    assert open_registry(home).find_alias("employment", "champion") is None
    assert any("insufficient, a person decides: auc " in line for line in logs_of(waiting))
    page = artifacts_of(waiting)["employment-approval"].data
    assert "plausibility of auc" in page
    assert "`sluice approve employment --by NAME --reason WORDS`" in page


def test_a_person_makes_it_champion(home: Home, accepted: Any) -> None:
    assert accepted.is_completed(), accepted.message
    champion = open_registry(home).find_alias("employment", "champion")
    assert champion is not None
    assert champion.tags["sluice.approval.by"] == "Ada"


def test_the_next_equal_release_is_not_asked_about(home: Home, accepted: Any) -> None:
    again = release_with(configure(seed=8, without=""), "equal")
    assert again.is_completed(), again.message
    assert not again.result().approval_deadline
    assert any("Ada accepted ." in line for line in logs_of(again))


def test_other_features_are_asked_about_again(home: Home, accepted: Any) -> None:
    other = release_with(configure(seed=9, without="nativity"), "other features")
    assert other.is_completed(), other.message
    assert other.result().approval_deadline
