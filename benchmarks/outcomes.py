"""The clean release and each planted fault, on ten seeds of split and training.

`python -m benchmarks.outcomes [--seeds 10]`; one process and one server, without a restart.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.harness.results import Row, report
from cli.output import say
from sluice.home import Home, find_home

EXPECTED = {
    "": "pass",
    "data": "DataRejected",
    "leakage": "DataRejected",
    "bias": "BiasFound",
    "worse": "CandidateWorse",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    from sluice.adapters.server.session import open_session

    found: Counter[tuple[str, str]] = Counter()
    started = time.perf_counter()
    with open_session(find_home(), say):
        for seed in range(1, seeds + 1):
            for fault in EXPECTED:
                outcome = play_one(fault, seed)
                found[fault, outcome] += 1
                say(f"### seed {seed}, {fault or 'clean'}: {outcome}")
    rows = [
        Row(f"{fault or 'clean'}: {outcome}", count, f"of {seeds}")
        for (fault, outcome), count in sorted(found.items())
    ]
    rows.append(Row("all of it", time.perf_counter() - started, "s"))
    report(
        "outcomes", rows, {"expected": {key or "clean": value for key, value in EXPECTED.items()}}
    )


def play_one(fault: str, seed: int) -> str:
    """Run one demonstration in a new folder; return `pass` or its error class."""
    from demo.scenario import play_releases
    from sluice.config.overrides import Overrides

    with tempfile.TemporaryDirectory() as folder:
        os.environ["SLUICE_HOME"] = str(Home(Path(folder)).root)
        result = play_releases(fault, Overrides(seed=seed, split_seed=seed))
        return result.error or "pass"


if __name__ == "__main__":
    main()
