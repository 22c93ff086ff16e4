"""A batch prediction in tests: a registered model, inputs, and the flow."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from sluice.home import Home
from support.gateway.towns import make_rows
from support.releases.services import make_quick

SERVICE = "towns"
FEATURES = ("size", "town", "here")


def run_scoring(source: str | Path, output: str | Path, **options: Any) -> Any:
    """Run the flow on the service `towns` and return its final state."""
    from flows.score_batch import score_batch

    config = make_quick().model_copy(update={"service": SERVICE})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.score_batch.load_service", lambda *_: config)
        return score_batch(
            SERVICE, source=str(source), output=str(output), return_state=True, **options
        )


def make_input(rows: int, seed: int = 5) -> pd.DataFrame:
    """Return rows with ids from 0 on, and without the target."""
    frame = make_rows(seed, rows).drop(columns="y")
    return frame.assign(id=range(rows))


def write_input(file: Path, rows: int, group: int = 1_000, seed: int = 5) -> pd.DataFrame:
    """Write rows to a Parquet file in row groups; return them."""
    frame = make_input(rows, seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    parquet.write_table(table, file, row_group_size=group)
    return frame


def read_output(output: str | Path) -> pd.DataFrame:
    """Return a Delta table's rows by id, with the probabilities as dictionaries."""
    from deltalake import DeltaTable

    rows = DeltaTable(str(output)).to_pyarrow_table().to_pylist()
    frame = pd.DataFrame(rows).sort_values("id", ignore_index=True)
    return frame.assign(probabilities=frame["probabilities"].map(dict))


def prepare_service(home: Home, folder: Path, versions: int = 1) -> Any:
    """Register the small model as so many versions of `towns`, the first one the champion."""
    from sluice.adapters.registry.client import open_registry
    from support.gateway.models import register_towns, write_towns

    registry = open_registry(home)
    registry.prepare()
    towns = write_towns(folder)
    return towns, [register_towns(registry, towns, SERVICE) for _ in range(versions)]
