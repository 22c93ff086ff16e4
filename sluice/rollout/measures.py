"""How single answers add to an arm's counts: cost, business value, agreement, first requests."""

from collections.abc import Collection, Iterable, Sequence
from math import isfinite

from sluice.config.policy import Business, CostRule, Disagreement

Answer = float | int | str | bool | None


def set_cost_cap(rule: CostRule, mean: float) -> float:
    """Return the highest cost that one request counts as, in the currency of the champion's mean.

    It is set once, before the rollout: with a moving cap the arms' sums could not be compared.

    Raises:
        ValueError: the mean is not a number above 0.
    """
    if not isfinite(mean) or mean <= 0:
        raise ValueError(f"the champion's mean cost is {mean:g}; allowed: above 0")
    return rule.cap * mean


def sum_costs(costs: Iterable[float], cap: float) -> float:
    """Return the sum of min(cost, cap) / cap over the requests whose cost is known.

    Raises:
        ValueError: a cost is not a number, or below 0.
    """
    return sum(_share(value, cap) for value in costs)


def sum_lack(values: Iterable[float], rule: Business) -> float:
    """Return the sum of 1 - min(value, cap) / cap over the values that arrived.

    Raises:
        ValueError: a value is not a number, or below 0.
    """
    return sum(1 - _share(value, rule.cap) for value in values)


def count_differing(
    candidate: Sequence[Answer], champion: Sequence[Answer], rule: Disagreement
) -> int:
    """Count the answers that differ: unequal classes, or numbers beyond the tolerance.

    NaN agrees with nothing.

    Raises:
        ValueError: the two sequences differ in length.
    """
    return sum(
        not agree(one, other, rule.tolerance)
        for one, other in zip(candidate, champion, strict=True)
    )


def count_first(
    requests: Iterable[tuple[str, bool]], seen: Collection[str]
) -> tuple[int, int, set[str]]:
    """Count the units with their first request of the stage, and those whose first one failed.

    `requests` are a block's (unit, failed) pairs of one arm in the order of time, `seen` the arm's
    units in the stage's earlier blocks. The third value returned is the new `seen`.
    """
    known, first, failures = set(seen), 0, 0
    for unit, failed in requests:
        if unit not in known:
            known.add(unit)
            first += 1
            failures += failed
    return first, failures, known


def _share(value: float, cap: float) -> float:
    if not isfinite(value) or value < 0:
        raise ValueError(f"found {value:g}; allowed: a number of at least 0")
    return min(value, cap) / cap


def agree(one: Answer, other: Answer, tolerance: float) -> bool:
    """Whether two answers are the same: equal classes, or numbers within the tolerance."""
    classes = (str, bool, type(None))
    if isinstance(one, classes) or isinstance(other, classes):
        return one == other
    return abs(one - other) <= tolerance
