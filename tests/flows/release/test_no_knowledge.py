"""A model that knows nothing does not become champion, where no floor was ever written."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.adapters.registry.client import open_registry
from sluice.home import SAMPLES, Home
from support.releases.services import make_quick
from support.servers.images import add_registry_database

pytestmark = pytest.mark.slow


def test_a_shuffled_target_halts_the_release(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.ingest import ingest
    from flows.release import release

    add_registry_database(Home(tmp_path))
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    for flow in ("ingest", "release"):
        monkeypatch.setattr(f"flows.{flow}.load_service", lambda *_: make_quick(draws=400))
    rows = pd.read_parquet(SAMPLES / "acs_employment_2015.parquet").head(1_500)
    rows["employed"] = np.random.default_rng(5).permutation(rows["employed"].to_numpy())
    rows.to_parquet(tmp_path / "rows.parquet")
    taken = ingest("employment", str(tmp_path / "rows.parquet"), return_state=True)
    assert taken.is_completed(), taken.message
    state: Any = release("employment", cause="noise", return_state=True)
    assert state.is_failed()
    assert "of a constant answer" in state.message
    assert open_registry(Home(tmp_path)).find_alias("employment", "champion") is None
    assert open_registry(Home(tmp_path)).find_alias("employment", "candidate") is None
