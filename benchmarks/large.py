"""A release of a million rows: CPU seconds and memory, its champion's and the one after it.

`python -m benchmarks.large [--rows 1000000] [--profile FOLDER]`; a service of 20 columns, made up
and begun by `sluice init` in a new state folder. Each command is a process of its own, beside one
server.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.project import make_folders, name_folders
from benchmarks.harness.results import Row, report
from cli.output import say

SERVICE = "claims"
CPU_SECONDS, GIGABYTES = 120.0, 1.5
GROUPS = ("north", "south", "east", "west", "centre")
NUMBERS = tuple(f"number_{index}" for index in range(12))
SLUICE = Path(sys.executable).with_name("sluice")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--profile", default="", help="write cProfile's statistics to this folder")
    arguments = parser.parse_args()
    os.environ.pop("PREFECT_API_URL", None)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_folders(root)
        os.environ.update(name_folders(root))
        file = root / f"{SERVICE}.parquet"
        make_rows(arguments.rows).to_parquet(file)
        named = ("--target", "paid", "--id", "claim_id", "--sensitive", "sex,region")
        measure(("init", str(file), *named, "--favourable", "1"))
        from cli.runs import open_terminal

        with open_terminal():
            measure(("ingest", SERVICE, str(file)))
            found = {"first release": measure(("release", SERVICE), arguments.profile)}
            change_model(root / "configs" / f"{SERVICE}.yaml")
            found["release beside a champion"] = measure(("release", SERVICE), arguments.profile)
    rows = []
    for name, figures in found.items():
        rows += [
            Row(f"{name}: CPU", figures["cpu"], "s", CPU_SECONDS),
            Row(f"{name}: largest memory", figures["memory"], "GB", GIGABYTES),
            Row(f"{name}: elapsed", figures["elapsed"], "s"),
        ]
    report("large", rows, {"rows of data": arguments.rows, "columns": 20})


def change_model(file: Path) -> None:
    """Change the model's configuration, so that the next candidate differs from the champion."""
    import yaml

    document = yaml.safe_load(file.read_text())
    key, value = ("regularisation", 2.0)
    if document["model"]["kind"] == "hist_gradient_boosting":
        key, value = ("learning_rate", 0.11)
    document["model"][key] = value
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def make_rows(rows: int) -> Any:
    """Return made-up claims: 12 numbers, 5 texts, a flag, an id and the target."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(1)
    frame = pd.DataFrame({"claim_id": np.arange(rows)})
    for name in NUMBERS:
        frame[name] = random.normal(0, 1, rows).round(4)
    for name in ("region", "branch", "channel", "product", "sex"):
        values = ("f", "m") if name == "sex" else GROUPS
        frame[name] = random.choice(np.array(values, dtype=object), rows)
    frame["renewed"] = random.random(rows) < 0.5
    signal = np.where(frame["branch"] == "north", 1.2, -0.8) * frame["number_0"]
    signal += 0.6 * np.abs(frame["number_1"]) * frame["number_2"]
    frame["paid"] = (random.random(rows) < 1 / (1 + np.exp(-signal))).astype(int)
    return frame


def measure(arguments: tuple[str, ...], profile: str = "") -> dict[str, float]:
    """Run a command; return its CPU seconds, largest memory in gigabytes and elapsed seconds."""
    say(f"### sluice {' '.join(arguments)}")
    profiled: tuple[str, ...] = ()
    if profile:
        Path(profile).mkdir(parents=True, exist_ok=True)
        count = len(list(Path(profile).iterdir()))
        profiled = ("-m", "cProfile", "-o", str(Path(profile) / f"{count}.pstats"))
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *profiled, str(SLUICE), *arguments])
    _, status, used = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    cpu, unit = used.ru_utime + used.ru_stime, 1e9 if sys.platform == "darwin" else 1e6
    say(f"### {cpu:.1f} s of CPU, {used.ru_maxrss / unit:.2f} GB, {elapsed:.1f} s")
    return {"cpu": cpu, "memory": used.ru_maxrss / unit, "elapsed": elapsed}


if __name__ == "__main__":
    main()
