"""The commands of one data set, each a process of its own, in a state folder of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.project import make_folders, name_folders
from benchmarks.own_data.catalog import PublicData
from sluice.home import PROJECT

SLUICE = Path(sys.executable).with_name("sluice")
PYTHON = PROJECT / ".venv-data" / "bin" / "python"
WRITER = PROJECT / "benchmarks" / "own_data" / "write_file.py"
FINDING = re.compile(r"^([A-Z][A-Za-z]+): (.*)$", re.MULTILINE)
"""The line with which a command says what stopped it."""

QUESTION = re.compile(r"a person decides: (.*?)(?:; next: .*)?$", re.MULTILINE)
"""The line with which a release asks a person."""


@dataclass(frozen=True)
class Cost:
    """What a command and its child processes cost, in seconds and gigabytes.

    `cpu` is the time of all of them, `memory` the largest of one of them.
    """

    cpu: float
    memory: float
    elapsed: float


@dataclass
class Journey:
    """What became of a data set: the last command, what it found, and the cost of each command.

    `outcome` is `champion`, `waits` (for a person), `refused` (by a person) or `halted`, the last
    by the command `stage` with an error of the name `finding`.
    """

    outcome: str = ""
    stage: str = ""
    finding: str = ""
    reason: str = ""
    question: str = ""
    costs: dict[str, Cost] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Return the facts as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Place:
    """The folders of one data set: its file, configuration, suite and state."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of all its processes."""
        return {**os.environ, **name_folders(self.root), "COLUMNS": "200"}

    def prepare(self) -> None:
        """Make the folders anew."""
        shutil.rmtree(self.root, ignore_errors=True)
        make_folders(self.root)

    def run(self, name: str, command: list[str]) -> tuple[int, str, Cost]:
        """Run a command; return its exit code, what it printed, and its cost."""
        log = self.root / f"{name}.log"
        started = time.perf_counter()
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        unit = 1e9 if sys.platform == "darwin" else 1e6
        elapsed = time.perf_counter() - started
        cost = Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / unit, elapsed)
        return process.returncode, log.read_text(), cost

    def run_module(self, module: str, name: str) -> dict[str, Any]:
        """Run a part of this benchmark; return the JSON of its last line.

        Raises:
            RuntimeError: it ended with an error.
        """
        code, text, _ = self.run(
            module, [sys.executable, "-m", f"benchmarks.own_data.{module}", name]
        )
        if code:
            raise RuntimeError(f"{module} of {name}: {text[-3000:]}")
        found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
        return found


def write_file(data: PublicData, folder: Path) -> tuple[Path, dict[str, int]]:
    """Write the data set's file; return it with its rows, and the rows of the data set."""
    file = folder / f"{data.name}.{data.format}"
    command = [str(PYTHON), str(WRITER), json.dumps(data.specify_file()), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{data.name}: {done.stderr[-2000:]}")
    counts: dict[str, int] = json.loads(done.stdout)
    return file, counts


def travel(data: PublicData, place: Place, file: Path) -> Journey:
    """Take a file through `init`, `ingest`, `release` and a decision, as far as it goes."""
    journey, service = Journey(), data.name
    steps = {
        "init": ["init", str(file), *data.list_options(), "--service", service],
        "ingest": ["ingest", service, str(file)],
        "release": ["release", service],
    }
    for stage, words in steps.items():
        code, text, cost = place.run(stage, [str(SLUICE), *words])
        journey.stage, journey.costs[stage] = stage, cost
        if code:
            found = FINDING.findall(text)
            journey.finding, journey.reason = found[-1] if found else ("", text[-500:])
            journey.outcome = "halted"
            return journey
    journey.outcome = "champion"
    if "waits for a person" in text:
        _decide(data, place, journey, text)
    return journey


def _decide(data: PublicData, place: Place, journey: Journey, text: str) -> None:
    """Answer the question of a release, where the data set's person has an answer."""
    asked = QUESTION.search(text)
    journey.outcome, journey.question = "waits", asked[1] if asked else ""
    for decision, reason in data.person.items():
        words = [decision, data.name, "--by", "benchmark", "--reason", reason]
        code, text, cost = place.run(decision, [str(SLUICE), *words])
        if code:
            raise RuntimeError(f"{decision} of {data.name}: {text[-2000:]}")
        journey.stage, journey.reason, journey.costs[decision] = decision, reason, cost
        journey.outcome = "champion" if decision == "approve" else "refused"
