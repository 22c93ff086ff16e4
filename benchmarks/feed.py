"""Ninety days of a feed through init and ingest: what is taken, refused, and asked of a person.

`python -m benchmarks.feed [--days 90] [--seed 1] [--no-report]`; the tasks of the ingest flow,
without a server. A state folder, a configuration and a suite of its own.
"""

import argparse
import contextlib
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness.feed import FeedDay, make_first_file, simulate_feed
from benchmarks.harness.results import Row, report

if TYPE_CHECKING:
    import pandas as pd

    from sluice.config.service import ServiceConfig

SERVICE = "parcels"
EXPECTED_PERSONS = ("bad day", "new column")


@dataclass
class FeedResult:
    """What became of a feed: days that were taken, days on which a person had to act."""

    taken: int = 0
    persons: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    good: set[int] = field(default_factory=set)
    bad: set[int] = field(default_factory=set)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-report", action="store_true", help="print, write no JSON")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        _prepare_world(Path(folder))
        result = play_feed(Path(folder), options.days, options.seed)
        rows = _summarise(result)
    rows.append(Row("all of it", time.perf_counter() - began, "s"))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    rows.append(Row("CPU", usage.ru_utime + usage.ru_stime, "s"))
    notes = {"days": options.days, "a person acted on": result.persons, "skipped": result.skipped}
    if options.no_report:
        for row in rows:
            sys.stdout.write(f"{row.name}: {row.value:g}\n")
        sys.stdout.write(f"a person acted on: {', '.join(result.persons)}\n")
    else:
        report("feed", rows, notes)
    sys.exit(any(row.met is False for row in rows))


def _prepare_world(folder: Path) -> None:
    """Name the folders of this world, before anything of the project reads them."""
    import shutil

    from benchmarks.harness.results import FOLDER

    project = FOLDER.parents[1]
    shutil.copytree(project / "gx", folder / "gx")
    (folder / "configs").mkdir()
    os.environ.update(
        SLUICE_HOME=str(folder / "home"),
        SLUICE_CONFIGS=str(folder / "configs"),
        SLUICE_SUITES=str(folder / "gx"),
        PREFECT_HOME=str(folder / "prefect"),
        # With a key and without a URL Prefect starts no server of its own to send events to.
        PREFECT_API_KEY="none",
    )
    for name in ("PREFECT_API_URL", "SLUICE_CONTROL_URL"):
        os.environ.pop(name, None)


def play_feed(folder: Path, days: int, seed: int) -> FeedResult:
    """Make the service from the first file, and take each day's file as it arrives."""
    from cli.data.init import start_service
    from sluice.config.loading import load_service
    from sluice.profile.draft import InitOptions

    first = folder / f"{SERVICE}.csv"
    rows = make_first_file(seed)
    rows.to_csv(first, index=False)
    choices = InitOptions(
        "late", "parcel_id", "placed", "", "yes", "none", "parcels", service=SERVICE
    )
    start_service(str(first), choices, force=False)
    result = FeedResult()
    if refused := take_file(load_service(SERVICE, "development"), first):
        raise SystemExit(f"the first file is refused: {refused}")
    result.good |= set(rows["parcel_id"])
    for day in simulate_feed(days, seed):
        _play_day(folder, day, result)
    return result


def take_file(config: "ServiceConfig", file: Path) -> str:
    """Take a file through the tasks of the ingest flow; return what refused it, or nothing."""
    from prefect.logging import disable_run_logger

    from tasks.data.ingestion import append_rows, find_deliveries, open_scratch, validate_batch

    with disable_run_logger(), open_scratch() as scratch:
        for delivery in find_deliveries.fn(config, str(file)):
            batch = validate_batch.fn(config, delivery, scratch)
            if batch.verdict and not batch.verdict.passed:
                return batch.verdict.message
            if not batch.existing:
                append_rows.fn(config, batch)
    return ""


def _play_day(folder: Path, day: FeedDay, result: FeedResult) -> None:
    from sluice.config.loading import load_service
    from sluice.errors import DataInvalid

    rows = day.rows
    if "channel" in rows and not _knows_channel():
        if day.event == "new column":
            result.persons.append(day.event)
        if not _add_channel():
            if day.event == "new column":
                result.skipped.append(day.event)
            rows = rows.drop(columns="channel")
    ids = set(rows["parcel_id"])
    result.good |= ids - day.bad_ids
    result.bad |= day.bad_ids
    file = folder / f"day-{day.number}.csv"
    rows.to_csv(file, index=False)
    try:
        refused = take_file(load_service(SERVICE, "development"), file)
    except DataInvalid as error:
        refused = str(error)
    if not refused:
        result.taken += 1
        return
    sys.stdout.write(f"day {day.number} ({day.event or 'plain'}): {refused[:400]}\n")
    result.persons.append(day.event or f"day {day.number}")
    _accept_good_rows()


def _accept_good_rows() -> None:
    """Do what a person does about a bad day: take its good rows, and leave the others."""
    from sluice.adapters.control.store import prepare_control
    from sluice.adapters.tables.quarantine import list_quarantined
    from sluice.config.loading import load_service
    from sluice.control.command import Author
    from sluice.home import find_home
    from tasks.data.quarantine import accept_batch

    config, author = load_service(SERVICE, "development"), Author("Ada", "grams, not kilograms")
    waiting = list_quarantined(find_home().quarantine(SERVICE))[-1]
    has_bad_rows = 0 < waiting.bad_rows < waiting.rows
    accept_batch(prepare_control(), config, waiting.name, author, good_rows=has_bad_rows)


def _knows_channel() -> bool:
    from sluice.config.loading import load_service

    return "channel" in load_service(SERVICE, "development").data.columns


def _add_channel() -> bool:
    """Add the column by the command line, as a person does; return whether there is a command."""
    import typer

    from cli.__main__ import app

    command = typer.main.get_command(app)
    if "schema" not in getattr(command, "commands", {}):
        return False
    words = ["schema", SERVICE, "add", "channel", "text", "--yes"]
    words += ["--by", "Ada", "--reason", "a new field"]
    with contextlib.suppress(SystemExit):
        command.main(words, standalone_mode=False)
    return _knows_channel()


def _summarise(result: FeedResult) -> list[Row]:
    table = _read_table()
    there = set(table["parcel_id"])
    waiting = _read_waiting()
    surprises = [name for name in result.persons if name not in EXPECTED_PERSONS]
    return [
        Row("days taken without a person", result.taken, "days"),
        Row("rows in the table", len(there), "rows"),
        Row("good rows not in the table", len(result.good - there), "rows", 0),
        Row("bad rows in the table", len(result.bad & there), "rows", 0),
        Row("bad rows", len(result.bad), "rows", 1, at_least=True),
        Row("bad rows without a way back", len(result.bad - waiting), "rows", 0),
        Row("a person was needed", len(result.persons), "times", len(EXPECTED_PERSONS)),
        Row("a person was needed for anything else", len(surprises), "times", 0),
        Row("checks that halt a release of all of it", _count_halting(), "checks", 0),
    ]


def _read_table() -> "pd.DataFrame":
    from sluice.adapters.tables.delta import latest_version, read_version
    from sluice.home import find_home

    uri = find_home().table(SERVICE)
    table, _ = read_version(uri, SERVICE, latest_version(uri, SERVICE))
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _read_waiting() -> set[int]:
    """Return the ids of the rows that wait in quarantine."""
    from pyarrow import parquet

    from sluice.adapters.tables.quarantine import BATCH, list_quarantined
    from sluice.home import find_home

    folder = find_home().quarantine(SERVICE)
    found: set[int] = set()
    for batch in list_quarantined(folder):
        if batch.state == "waiting":
            rows = parquet.read_table(folder / batch.name / BATCH)
            found |= set(rows["parcel_id"].to_pylist())
    return found


def _count_halting() -> int:
    """Return how many checks of the data gate halt a release: all rows since the first file."""
    from sluice.adapters.tables.delta import latest_version, read_version
    from sluice.adapters.tables.quarantine import read_exceptions
    from sluice.adapters.validation.expectations import measure_data
    from sluice.config.loading import load_service
    from sluice.data.batches.arrival import EarlierBatches
    from sluice.data.batches.exceptions import HALTING
    from sluice.gates.data import DataGate
    from sluice.home import find_home

    config, home = load_service(SERVICE, "development"), find_home()
    uri, key = home.table(SERVICE), "parcel_id"
    table, _ = read_version(uri, SERVICE, latest_version(uri, SERVICE), key)
    first, _ = read_version(uri, SERVICE, 0, key)
    earlier = EarlierBatches(exceptions=read_exceptions(home.exceptions(SERVICE), uri))
    verdict = DataGate(config.data).judge(
        measure_data(config, table, first, "feed", earlier=earlier)
    )
    if not verdict.passed:
        sys.stdout.write(f"release: {verdict.message}\n")
    return sum(check.outcome in HALTING for check in verdict.checks)


if __name__ == "__main__":
    main()
