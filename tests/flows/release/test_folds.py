"""A release of few rows by cross-validation, through the real flows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.history import read_evidence
from sluice.config.data import SplitConfig
from sluice.config.service import ServiceConfig
from sluice.home import SAMPLES, Home
from support.releases.runs import logs_of
from support.releases.services import make_quick
from support.servers.images import add_registry_database

pytestmark = pytest.mark.slow


def configure(folds: int = 4, without: str = "") -> ServiceConfig:
    """Return the default service with folds, made quick."""
    config = make_quick(without, {"iterations": 20}, margin=0.2, on_identical="fail")
    return config.model_copy(update={"split": SplitConfig(folds=folds, seed=3)})


def run_with(config: ServiceConfig, flow: str, *arguments: Any, **named: Any) -> Any:
    from flows.ingest import ingest
    from flows.release import release

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"flows.{flow}.load_service", lambda *_: config)
        chosen: Any = {"ingest": ingest, "release": release}[flow]
        return chosen("employment", *arguments, return_state=True, **named)


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        root: Path = tmp_path_factory.mktemp("folds")
        add_registry_database(Home(root))
        patch.setenv("SLUICE_HOME", str(root))
        rows = pd.read_parquet(SAMPLES / "acs_employment_2015.parquet")
        for name, part in (("first", rows.head(1_200)), ("second", rows.iloc[1_200:2_000])):
            part.to_parquet(root / f"{name}.parquet")
        state = run_with(configure(), "ingest", str(root / "first.parquet"))
        assert state.is_completed(), state.message
        yield Home(root)


@pytest.fixture(scope="module")
def champion(home: Home) -> Any:
    return run_with(configure(), "release", cause="few rows")


def read_rows_behind(home: Home, state: Any) -> dict[str, Any]:
    return read_evidence(open_registry(home), state.result().run_id)


def test_every_row_is_trained_on_and_evaluated(home: Home, champion: Any) -> None:
    assert champion.is_completed(), champion.message
    assert champion.result().alias == "champion"
    assert any("4 folds by hash: 1,200 rows to train on" in line for line in logs_of(champion))
    evidence = read_rows_behind(home, champion)
    assert evidence["n"] == 1_200
    figure = next(item for item in evidence["metrics"] if item["name"] == "auc")
    assert 0.7 < figure["candidate"]["value"] < 0.9  # fitted on the rows themselves it is above .95


def test_the_reference_profile_has_predictions_out_of_folds(home: Home, champion: Any) -> None:
    from tasks.drift.profiles import rebuild_profile

    found = rebuild_profile("employment")
    assert found.before == "equal"
    assert found.profile.rows == found.profile.columns["(score)"].counts.rows == 1_200


def test_the_same_data_and_configuration_are_nothing_new(home: Home, champion: Any) -> None:
    again = run_with(configure(), "release", cause="again")
    assert "predicts exactly what the champion does" in again.message


def test_the_champion_is_fitted_on_its_own_rows_outside_each_fold(
    home: Home, champion: Any
) -> None:
    state = run_with(configure(), "ingest", str(home.root / "second.parquet"))
    assert state.is_completed(), state.message
    newer = run_with(configure(without="nativity"), "release", cause="more rows")
    assert newer.is_completed(), newer.message
    assert newer.result().alias == "candidate"
    assert any("the champion's configuration outside each fold" in line for line in logs_of(newer))
    evidence = read_rows_behind(home, newer)
    assert evidence["n"] == 2_000
    assert not evidence["identical"]
    figure = next(item for item in evidence["metrics"] if item["name"] == "auc")
    assert 0.7 < figure["champion"]["value"] < 0.9


def test_a_champion_of_folds_trained_on_every_row_that_a_later_holdout_has(
    home: Home, champion: Any
) -> None:
    later = run_with(configure(folds=0), "release", data_version=0, cause="a share is held out")
    assert later.is_failed()
    assert "no held-out rows" in later.message
