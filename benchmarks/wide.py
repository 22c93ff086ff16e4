"""Processor time of `sluice ingest` on wide tables, CSV, two batches each.

`python -m benchmarks.wide [--against FOLDER]`: FOLDER is another checkout, measured as well.
The service is made by `sluice init` from the first 3,000 rows. Time of child processes counts, that
of the Prefect server that each command starts and stops (about 8 s) too.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.results import Row, report
from cli.output import say
from sluice.home import PROJECT, SUITES

TARGET_SECONDS = 20.0
SIZES = {"300 columns x 100,000 rows": (300, 100_000), "1,500 columns x 5,000 rows": (1500, 5000)}
FIRST_ROWS = 3_000
KINDS = 20
"""Of twenty columns, fourteen are numbers, three whole numbers and three words."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="")
    against = parser.parse_args().against
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        for title, size in SIZES.items():
            rows += measure_size(Path(name) / str(size[0]), title, size, against)
    report("wide", rows, {"format": "CSV", "server": "a new one for each command"})


def measure_size(folder: Path, title: str, size: tuple[int, int], against: str) -> list[Row]:
    """Return the seconds of both batches of one size, with the other checkout's beside them."""
    columns, count = size
    files = [folder / "first.csv", folder / "second.csv"]
    folder.mkdir()
    for seed, file in enumerate(files):
        make_rows(seed, columns, count).to_csv(file, index=False)
    pd.read_csv(files[0], nrows=FIRST_ROWS).to_csv(folder / "sample.csv", index=False)
    rows = []
    for checkout in filter(None, (str(PROJECT), against)):
        beside = "" if checkout == str(PROJECT) else " (the other checkout)"
        home = folder / f"home{len(rows)}"
        run_sluice(
            home, checkout, "init", str(folder / "sample.csv"), "--target", "y", "--id", "row_id",
            "--service", "wide", "--sensitive", "none", "--reason", "made up",
        )  # fmt: skip
        for word, file in zip(("first", "second"), files, strict=True):
            seconds = run_sluice(home, checkout, "ingest", "wide", str(file))
            target = TARGET_SECONDS if count == 100_000 and not beside else None
            rows.append(Row(f"{title}, {word} batch{beside}", seconds, "s of CPU", target))
            say(f"{rows[-1].name}: {seconds:.1f} s")
    suite = home / "gx" / "expectations" / "wide.json"
    rules = json.loads(suite.read_text(encoding="utf-8"))["expectations"]
    return [*rows, Row(f"{title}: rules", len(rules), "rules")]


def make_rows(seed: int, columns: int, rows: int) -> pd.DataFrame:
    """Return rows with an id, a target of two classes, and columns of three kinds."""
    draw = np.random.default_rng(seed)
    signal = draw.normal(size=rows)
    found = {"row_id": np.arange(seed * rows, (seed + 1) * rows)}
    for place in range(columns - 2):
        kind = place % KINDS
        if kind < 14:
            noise = draw.normal(size=rows)
            found[f"number{place}"] = np.round(noise + (0.3 * signal if place < 28 else 0), 4)
        elif kind < 17:
            found[f"whole{place}"] = draw.integers(0, 50, rows)
        else:
            found[f"word{place}"] = draw.choice(["red", "green", "blue", "black"], rows)
    found["y"] = np.where(signal + draw.normal(size=rows) > 0, "yes", "no")
    return pd.DataFrame(found)


def run_sluice(home: Path, checkout: str, *words: str) -> float:
    """Run a command of a checkout with folders of its own, and return its seconds of CPU."""
    for name in ("configs", "gx"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "gx" / "great_expectations.yml").write_bytes(
        (SUITES / "great_expectations.yml").read_bytes()
    )
    environment = {
        **os.environ,
        "SLUICE_HOME": str(home / "state"),
        "SLUICE_CONFIGS": str(home / "configs"),
        "SLUICE_SUITES": str(home / "gx"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
