"""False alarms of the rule on many more runs, where it can have any: a share near .01 needs them.

`python -m benchmarks.drift.false_alarms [--runs 1000]`. Thirty normal features without drift, n
rows on both sides; other seeds than those of `benchmarks.drift`.
"""

import argparse

import numpy as np

from benchmarks.drift.__main__ import FALSE_TARGET, FEATURES, judge, make_profile
from benchmarks.harness.results import Row, report
from cli.output import say

SIZES = (500, 1_000, 2_000)
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    runs = parser.parse_args().runs
    rows = []
    for n in SIZES:
        share = count_alarms(n, runs) / runs
        rows.append(Row(f"n {n:,}: false alarm, rule", share, "of runs", FALSE_TARGET))
        say(f"{rows[-1].name}: {share:.4f}")
    report("drift_false_alarms", rows, {"runs of a size": runs, "features": FEATURES})


def count_alarms(n: int, runs: int) -> int:
    """Return the runs in which any of thirty features has an alarm."""
    found = 0
    for run in range(runs):
        random = np.random.default_rng((SEED, n, run))
        reference, current = random.normal(size=(2, FEATURES, n))
        found += any(one.alarm for one in judge(make_profile(reference), current))
    return found


if __name__ == "__main__":
    main()
