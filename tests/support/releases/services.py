"""The committed services in tests: their files, as the examples in docs write them."""

import subprocess
import sys
from pathlib import Path

import pandas as pd

from sluice.config.service import ServiceConfig
from sluice.home import PROJECT, SAMPLES

EXAMPLES = PROJECT / "docs" / "examples"
SURVEYS = ("acs_employment_2015.parquet", "acs_employment_2016.parquet")


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
    first, _ = write_examples(config.service, folder)
    frame: pd.DataFrame = read_batch(first, config.data).to_pandas()
    return frame
