"""Measured and estimated performance on real data, with and without changes.

`python -m benchmarks.performance [--windows 1000] [--trials 40] [--without-peer]`.
"""

import argparse

from benchmarks.harness.results import report
from benchmarks.performance.cases import SERVICES, make_case
from benchmarks.performance.concept import measure_concept
from benchmarks.performance.estimates import measure_estimates, measure_groups
from benchmarks.performance.peer import compare_with_nannyml
from cli.output import say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=1_000)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--without-peer", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for service in SERVICES:
        case = make_case(service)
        say(f"### {service}: {len(case.frame):,} rows that the model was not fitted on")
        rows += measure_concept(case, arguments.windows)
        rows += measure_estimates(case, arguments.trials)
        if service == "earnings":
            rows += measure_groups(case)
        if service == "employment" and not arguments.without_peer:
            rows += compare_with_nannyml(case)
    report("live_performance", rows, {"windows": arguments.windows, "trials": arguments.trials})


if __name__ == "__main__":
    main()
