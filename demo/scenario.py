"""The first part of the demonstration: files arrive, releases run, a gate may halt one."""

import tempfile
from pathlib import Path

from cli.output import say
from cli.runs import RunResult, run_ingest, run_release
from demo.faults import FAULTS
from sluice.adapters.control.store import prepare_control
from sluice.adapters.tables.delta import append_batch
from sluice.adapters.tables.files import read_batch
from sluice.config.loading import load_service
from sluice.config.overrides import Overrides, apply_overrides
from sluice.config.service import ServiceConfig
from sluice.home import SAMPLES, find_home

SERVICE = "employment"
START, ARRIVAL = (2015, 2016), 2017
SEED = 29
BYPASSING = ("data", "leakage")
"""Faults that an outside job writes directly to the table; `ingest` would quarantine them."""


def play_releases(fault: str, overrides: Overrides) -> RunResult:
    """Run the ingests and releases, and return how the last one ended.

    They use the state folder and the servers that the environment names; `demo.world` gives a
    demonstration its own.
    """
    config = apply_overrides(load_service(SERVICE, "development"), overrides)
    with tempfile.TemporaryDirectory() as folder:
        files = {year: _deliver(year, fault, config, Path(folder)) for year in (*START, ARRIVAL)}
        first = _release_first(files, overrides)
        return first if first.code else _release_next(files, fault, overrides)


def _release_first(files: dict[int, Path], overrides: Overrides) -> RunResult:
    """Ingest the first years, and release a champion if there is none."""
    for year in START:
        say(f"\n{year}: a survey file arrives")
        if (result := run_ingest(SERVICE, str(files[year]))).code:
            return result
    if prepare_control().routes.find(SERVICE):
        say("\nAn earlier run has released a champion")
        return RunResult(0)
    say(f"\nRelease of {SERVICE} on {START[0]}-{START[-1]}: the first one becomes champion")
    return run_release(SERVICE, -1, overrides, "first data")


def _release_next(files: dict[int, Path], fault: str, overrides: Overrides) -> RunResult:
    """Ingest the next year and release a candidate, compared with the champion."""
    say(f"\n{ARRIVAL}: a survey file arrives")
    if fault in BYPASSING:
        _write_directly(files[ARRIVAL])
    elif (result := run_ingest(SERVICE, str(files[ARRIVAL]))).code:
        return result
    say(f"\nRelease of {SERVICE} with {ARRIVAL}: a candidate, compared with the champion")
    return run_release(SERVICE, -1, overrides, f"data {ARRIVAL}")


def _deliver(year: int, fault: str, config: ServiceConfig, folder: Path) -> Path:
    """Return the year's file, corrupted if the fault affects it."""
    clean = SAMPLES / f"acs_employment_{year}.parquet"
    affected = (*START, ARRIVAL) if fault == "bias" else (ARRIVAL,)
    if fault not in FAULTS or year not in affected:
        return clean
    import pandas as pd

    frame = pd.read_parquet(clean)
    path = folder / clean.name
    FAULTS[fault](frame, config, SEED + year).to_parquet(path, index=False)
    return path


def _write_directly(path: Path) -> None:
    """Append directly to the table, as another team's job would."""
    say("an outside job writes it directly to the table, without `ingest`")
    config = load_service(SERVICE, "development")
    batch = read_batch(path, config.data)
    append_batch(find_home().table(SERVICE), batch, {"source": "outside job"}, config.data.id)
