"""A release in which the newest held-out rows decide, through the real flows."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.history import read_evidence
from sluice.config.service import ServiceConfig
from sluice.home import SAMPLES
from support.releases.runs import artifacts_of, logs_of
from support.releases.services import make_quick
from support.servers.images import add_registry_database

pytestmark = pytest.mark.slow


def run(flow: str, config: ServiceConfig, *arguments: Any) -> Any:
    from flows.ingest import ingest
    from flows.release import release

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"flows.{flow}.load_service", lambda *_: config)
        chosen: Any = {"ingest": ingest, "release": release}[flow]
        return chosen("employment", *arguments, return_state=True)


def test_the_newest_rows_decide_and_the_older_ones_are_shown(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sluice.home import Home

    home = Home(tmp_path / "home")
    monkeypatch.setenv("SLUICE_HOME", str(home.root))
    add_registry_database(home)
    quick = make_quick(model={"iterations": 20}, margin=0.05)
    recent = make_quick(model={"iterations": 20}, margin=0.05, recent=400)
    for year, config in ((2015, quick), (2016, recent)):
        rows = pd.read_parquet(SAMPLES / f"acs_employment_{year}.parquet").head(2_500)
        rows.to_parquet(tmp_path / f"{year}.parquet")
        state = run("ingest", config, str(tmp_path / f"{year}.parquet"))
        assert state.is_completed(), state.message
        state = run("release", config)
        assert state.is_completed(), state.message
    evidence = read_evidence(open_registry(home), state.result().run_id)
    assert evidence["older"]["since"] == "2016"
    assert 600 < evidence["n"] < 900
    assert 600 < evidence["older"]["n"] < 900
    assert any(f"the newest {evidence['n']:,} of them decide" in line for line in logs_of(state))
    page = artifacts_of(state)["employment-verdict-evaluation"].data
    assert "auc, older rows" in page
    assert f"the newest {evidence['n']:,} of" in page
