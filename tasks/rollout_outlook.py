"""What a rollout can expect to prove at the traffic that was seen, said before it begins."""

from math import log
from statistics import NormalDist

import numpy as np
from prefect import get_run_logger

from sluice.config.policy import Policy
from sluice.rollout.latency import QUANTILE, Histogram, edge_of, find_quantile
from sluice.rollout.simulation.feasibility import POWER, pass_equal_arms
from sluice.rollout.simulation.traffic import Traffic
from tasks.rollout_opening import Seen

SEED = 1
LEAST_SPREAD = 0.05
RUNS = 60
"""Simulated rollouts: enough to tell a stage that can conclude from one that cannot."""


def foretell(policy: Policy, seen: Seen) -> tuple[str, ...]:
    """Say which stages can conclude; a rollout that cannot goes on, and holds where it cannot."""
    notes = _weigh(policy, seen)
    for note in notes:
        get_run_logger().info(note)
    return notes


def _weigh(policy: Policy, seen: Seen) -> tuple[str, ...]:
    if seen.rate <= 0:
        why = f" ({seen.missing})" if seen.missing else ""
        return (f"No traffic was seen before the start{why}: a stage holds until there is some.",)
    said = [f"Traffic before the start: {seen.rate:,.1f} requests/s, {seen.errors:.2%} errors."]
    latency, spread = describe_latency(seen.total.latencies)
    traffic = Traffic(
        rate=seen.rate, errors=seen.errors, latency=latency, latency_spread=spread, signals=None
    )
    passed = pass_equal_arms(policy, traffic, (RUNS, SEED)).passed
    for stage, seconds in zip(policy.stages, passed, strict=True):
        share = float(np.mean(~np.isnan(seconds)))
        if share < POWER:
            said.append(
                f"{stage.name}: a candidate that equals the champion passes by max in {share:.0%} "
                f"(wanted {POWER:.0%}); next: `sluice feasible SERVICE --rps {seen.rate:.0f}` "
                "says what would be enough"
            )
    if len(said) == 1:
        said.append("Every stage can conclude at this traffic.")
    return tuple(said)


def describe_latency(latencies: Histogram) -> tuple[float, float]:
    """Give median (ms) and sigma of the lognormal times whose median and P95 were seen.

    Where no request was seen they are the simulator's own.
    """
    middle, high = (find_quantile([latencies], share) for share in (0.5, QUANTILE))
    if middle is None or high is None:
        return Traffic.latency, Traffic.latency_spread
    spread = log(edge_of(high) / edge_of(middle)) / NormalDist().inv_cdf(QUANTILE)
    return edge_of(middle), max(spread, LEAST_SPREAD)
