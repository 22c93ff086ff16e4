"""The first part of what `make demo` plays: files arrive, releases run, a gate may halt one."""

import os
import shutil
import tempfile
from pathlib import Path

from cli.output import say
from cli.runs import RunResult, run_ingest, run_release
from demo.faults import FAULTS
from sluice.adapters.registry.client import open_registry
from sluice.adapters.tables.delta import append_batch
from sluice.adapters.tables.files import read_batch
from sluice.config.loading import load_service
from sluice.config.overrides import Overrides, apply_overrides
from sluice.config.service import ServiceConfig
from sluice.home import SAMPLES, Home, find_home

SERVICE = "employment"
START, ARRIVAL = (2015, 2016), 2017
SEED = 29
SHARED = ("MLFLOW_TRACKING_URI", "SLUICE_CONTROL_URL")
"""Stores that others may use: no faulty version is put there."""
UNGATED = ("data", "leakage")
"""Faults that a job outside writes straight into the table; `ingest` would quarantine them."""


def play(fault: str, overrides: Overrides) -> RunResult:
    """Play the story and give how its last run ended.

    With a fault it plays in a fresh folder of its own, so that no corrupted row ever reaches the
    service's table, and no model of it into a shared registry.
    """
    if fault:
        os.environ["SLUICE_HOME"] = str(_prepare_stage(find_home(), fault))
        for name in SHARED:
            os.environ.pop(name, None)
    config = apply_overrides(load_service(SERVICE, "development"), overrides)
    with tempfile.TemporaryDirectory() as folder:
        files = {year: _deliver(year, fault, config, Path(folder)) for year in (*START, ARRIVAL)}
        started = _release_start(files, overrides)
        return started if started.code else _release_arrival(files, fault, overrides)


def _release_start(files: dict[int, Path], overrides: Overrides) -> RunResult:
    """Ingest the first years and release a champion where there is none."""
    for year in START:
        say(f"\n{year}: a survey file arrives")
        if (ending := run_ingest(SERVICE, str(files[year]))).code:
            return ending
    if open_registry(find_home()).find_alias(SERVICE, "champion"):
        say("\nA champion stands from an earlier run")
        return RunResult(0)
    say(f"\nRelease of {SERVICE} on {START[0]}-{START[-1]}: the first one becomes champion")
    return run_release(SERVICE, -1, overrides, "first data")


def _release_arrival(files: dict[int, Path], fault: str, overrides: Overrides) -> RunResult:
    """Take the next year in and release a candidate against the champion."""
    say(f"\n{ARRIVAL}: a survey file arrives")
    if fault in UNGATED:
        _write_past_ingest(files[ARRIVAL])
    elif (ending := run_ingest(SERVICE, str(files[ARRIVAL]))).code:
        return ending
    say(f"\nRelease of {SERVICE} with {ARRIVAL}: a candidate against the champion")
    return run_release(SERVICE, -1, overrides, f"data {ARRIVAL}")


def _deliver(year: int, fault: str, config: ServiceConfig, folder: Path) -> Path:
    """Give the year's file, corrupted where the fault touches it."""
    clean = SAMPLES / f"acs_employment_{year}.parquet"
    touched = (*START, ARRIVAL) if fault == "bias" else (ARRIVAL,)
    if fault not in FAULTS or year not in touched:
        return clean
    import pandas as pd

    frame = pd.read_parquet(clean)
    path = folder / clean.name
    FAULTS[fault](frame, config, SEED + year).to_parquet(path, index=False)
    return path


def _write_past_ingest(path: Path) -> None:
    """Append as another team's job would, straight to the table."""
    say("a job outside writes it straight into the table, past `ingest`")
    config = load_service(SERVICE, "development")
    batch = read_batch(path, config.data)
    append_batch(find_home().table(SERVICE), batch, {"source": "outside job"}, config.data.id)


def _prepare_stage(home: Home, fault: str) -> Path:
    stage = home.root / "demo" / fault
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    return stage
