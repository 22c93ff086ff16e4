"""Evidence of the cost gate: what a case costs, beside what it costs with the active version."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sluice.stats.bootstrap import Estimate
from sluice.stats.prompts.bounds import bound_ratio


@dataclass(frozen=True)
class CaseCost:
    """What one case used on average over its repeats; `dollars` is None where a price is unknown.

    `tokens` is the sum of input and output, None where the provider did not count them.
    """

    dollars: float | None
    tokens: float | None


@dataclass(frozen=True)
class CostEvidence:
    """The ratio of mean costs, candidate to active version, over the cases that both have.

    `unit` says what was compared: US dollars, or tokens where both versions cost nothing.
    `unknown` counts the cases whose cost is not known for one of the versions. `mean` and
    `active_mean` are per case; a mean is None without any cost. `dollars` is the candidate's mean
    cost of a case in US dollars over all its cases, None where a cost is unknown or there is none.
    """

    ratio: Estimate | None
    unit: str = "US dollars"
    unknown: int = 0
    mean: float | None = None
    active_mean: float | None = None
    active_version: int | None = None
    dollars: Estimate | None = None


def measure_cost(
    candidate: Mapping[str, CaseCost],
    active: Mapping[str, CaseCost] | None,
    active_version: int | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> CostEvidence:
    """Return the evidence about costs, both versions by the name of the case."""
    known = [item.dollars for item in candidate.values() if item.dollars is not None]
    dollars = None
    if known and len(known) == len(candidate):
        dollars = bound_ratio(np.array(known), np.ones(len(known)), draws, seed)
    if active is None:
        mean = dollars.value if dollars else None
        return CostEvidence(None, unknown=len(candidate) - len(known), mean=mean, dollars=dollars)
    shared = [case for case in candidate if case in active]
    pairs = [(candidate[case], active[case]) for case in shared]
    ours = [item.dollars for item, _ in pairs]
    theirs = [item.dollars for _, item in pairs]
    unit = "US dollars"
    if pairs and not any(ours) and not any(theirs) and None not in (*ours, *theirs):
        unit = "tokens"
        ours = [item.tokens for item, _ in pairs]
        theirs = [item.tokens for _, item in pairs]
    unknown = sum(None in pair for pair in zip(ours, theirs, strict=True))
    if unknown or not pairs:
        return CostEvidence(None, unit, unknown, active_version=active_version, dollars=dollars)
    first, second = np.array(ours, dtype=np.float64), np.array(theirs, dtype=np.float64)
    ratio = bound_ratio(first, second, draws, seed)
    means = float(first.mean()), float(second.mean())
    return CostEvidence(ratio, unit, 0, *means, active_version, dollars)
