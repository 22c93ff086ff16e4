"""The committed services in tests: their files, as the examples in docs write them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.home import PROJECT, SAMPLES

EXAMPLES = PROJECT / "docs" / "examples"
SURVEYS = ("acs_employment_2015.parquet", "acs_employment_2016.parquet")


def make_quick(
    without: str = "", model: dict[str, Any] | None = None, **evaluation: Any
) -> ServiceConfig:
    """Return the default service made quick: few rows and draws, no floors, slices or groups.

    `without` leaves a feature out; `model` and `evaluation` change these sections.
    """
    config = load_service("employment", "development")
    features = tuple(name for name in config.data.features if name != without)
    usual = {
        "floors": {},
        "calibration": None,
        "draws": 200,
        "slices": config.evaluation.slices.model_copy(update={"columns": ()}),
    }
    parts = {
        "data": config.data.model_copy(update={"minimum_rows": 500, "features": features}),
        "evaluation": config.evaluation.model_copy(update=usual | evaluation),
        "bias": config.bias.model_copy(update={"sensitive": "none", "reason": "a test"}),
        "model": config.model.model_copy(update=model or {}),
    }
    return config.model_copy(update=parts)


def write_examples(service: str, folder: Path) -> tuple[Path, Path]:
    """Write a service's first file and the file with its later rows."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{service}.py")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / f"{service}.csv", folder / f"{service}-more.csv"


def read_first_rows(config: ServiceConfig, folder: Path) -> pd.DataFrame:
    """Return the first rows of a committed service, read as `ingest` reads them."""
    from sluice.adapters.tables.files import read_batch

    if config.service == "employment":
        return pd.concat([pd.read_parquet(SAMPLES / name) for name in SURVEYS], ignore_index=True)
    if config.service == "injection":
        return pd.read_parquet(SAMPLES / "injection" / "injection.parquet")
    first, _ = write_examples(config.service, folder)
    frame: pd.DataFrame = read_batch(first, config.data).to_pandas()
    return frame
