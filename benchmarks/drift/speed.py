"""Processor time and memory of counting drift, beside a plain Parquet read and Evidently.

`python -m benchmarks.drift.speed [--rows 1000000] [--peer-rows 1000000]`; with 0 peer rows without
Evidently. Fifty columns: forty of numbers, five of few whole numbers, five of texts. Each figure is
of a process of its own: CPU without its imports, memory with them. The folder of 20M rows has
twenty links to the file of 1M: the same rows twenty times.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness.results import Row, report
from cli.output import say
from sluice.home import PROJECT

PEER = PROJECT / ".venv-drift" / "bin" / "python"
NUMBERS, WHOLES, TEXTS = 40, 5, 5
GROUP = 250_000
MILLION = 1_000_000
LEVELS = [f"level {at}" for at in range(20)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=MILLION)
    parser.add_argument("--peer-rows", type=int, default=MILLION)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = measure(folder, arguments.rows, arguments.peer_rows)
    notes = {
        "columns": "40 of numbers, 5 of few whole numbers, 5 of texts",
        "rows of a group": GROUP,
    }
    report("drift_speed", rows, notes)


def measure(folder: Path, rows: int, peer_rows: int) -> list[Row]:
    """Return the figures of all processes."""
    reference, current = folder / "reference.parquet", folder / "current.parquet"
    for seed, path in enumerate((reference, current)):
        write_rows(path, rows, seed)
    profile = folder / "profile.json"
    built = run("build", reference, profile)
    read, counted = run("read", current, profile), run("count", current, profile)
    streamed = run("stream", current, profile)
    two, twenty = folder / "two", folder / "twenty"
    for place, copies in ((two, 2), (twenty, 20)):
        place.mkdir()
        for copy in range(copies):
            os.link(current, place / f"{copy:02}.parquet")
    small, large = run("count", two, profile), run("count", twenty, profile)
    peer = run_peer(folder, peer_rows) if peer_rows and PEER.exists() else None
    ratio = counted["cpu"] / read["cpu"]
    found = [
        Row("plain read of all columns", read["cpu"], "s of CPU"),
        Row("read of one column of one row group at a time", streamed["cpu"], "s of CPU"),
        Row("counting and judging", counted["cpu"], "s of CPU"),
        Row("counting over the plain read", ratio, "times", 1.3),
        Row("counting over the other read", counted["cpu"] / streamed["cpu"], "times"),
        Row("building the profile, once", built["cpu"], "s of CPU"),
        Row("memory, 2 x rows", small["memory"], "MB"),
        Row("memory, 20 x rows", large["memory"], "MB"),
        Row("memory of 20 x over 2 x", large["memory"] / small["memory"], "times", 1.1),
    ]
    if peer:
        scaled = peer["cpu"] * rows / peer_rows
        found += [
            Row(f"Evidently, drift of all columns, {peer_rows:,} + {peer_rows:,} rows",
                peer["cpu"], "s of CPU"),
            Row("Evidently, memory", peer["memory"], "MB"),
            Row("Evidently over counting", scaled / counted["cpu"], "times", 100.0, True),
        ]  # fmt: skip
    return found


def write_rows(path: Path, rows: int, seed: int) -> None:
    """Write rows in groups of 250,000."""
    random = np.random.default_rng(seed)
    writer = None
    for start in range(0, rows, GROUP):
        count = min(GROUP, rows - start)
        columns = {f"number{at}": random.normal(size=count) for at in range(NUMBERS)}
        columns |= {f"whole{at}": random.integers(0, 12, count) for at in range(WHOLES)}
        texts = {
            f"text{at}": pa.DictionaryArray.from_arrays(
                pa.array(random.integers(0, 20, count), pa.int32()), pa.array(LEVELS)
            ).cast(pa.string())
            for at in range(TEXTS)
        }
        table = pa.table({**columns, **texts})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=GROUP)
    assert writer is not None
    writer.close()


def run(action: str, rows: Path, profile: Path) -> dict[str, float]:
    """Run one action in a process of its own, and return its CPU seconds and memory in MB."""
    command = [sys.executable, "-m", "benchmarks.drift.speed_part", action, str(rows), str(profile)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    say(f"{action} {rows.name}: {found}")
    return found


def run_peer(folder: Path, rows: int) -> dict[str, float]:
    """Run Evidently's drift of all columns on the first rows of both files."""
    script = PROJECT / "benchmarks" / "drift" / "peer.py"
    files = [str(folder / f"{name}.parquet") for name in ("reference", "current")]
    environment = {**os.environ, "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [str(PEER), str(script), *files, str(rows)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    say(f"Evidently: {found}")
    return found


if __name__ == "__main__":
    main()
