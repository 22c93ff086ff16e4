"""What single answers add to an arm's figures: costs, business values, answers that agree."""

from collections.abc import Collection, Iterable, Sequence
from math import isfinite

from sluice.config.policy import Business, CostRule, Disagreement

Answer = float | int | str | bool | None


def set_cost_cap(rule: CostRule, mean: float) -> float:
    """Give the cost that a request counts as at most, in the money of the champion's mean.

    It is set once, before the rollout: a cap that moved would make the arms' sums unlike.

    Raises:
        ValueError: the mean is not a number above 0.
    """
    if not isfinite(mean) or mean <= 0:
        raise ValueError(f"the champion's mean cost is {mean:g}; allowed: above 0")
    return rule.cap * mean


def sum_costs(costs: Iterable[float], cap: float) -> float:
    """Give the sum of min(cost, cap) / cap over the requests whose cost is known.

    Raises:
        ValueError: a cost is no number or below 0.
    """
    return sum(_share(value, cap) for value in costs)


def sum_lack(values: Iterable[float], rule: Business) -> float:
    """Give the sum of 1 - min(value, cap) / cap over the values that arrived.

    Raises:
        ValueError: a value is no number or below 0.
    """
    return sum(1 - _share(value, rule.cap) for value in values)


def count_differing(
    candidate: Sequence[Answer], champion: Sequence[Answer], rule: Disagreement
) -> int:
    """Count the answers that differ: classes that are not equal, numbers beyond the tolerance.

    A number that is none (NaN) agrees with nothing.

    Raises:
        ValueError: the two are not equally many.
    """
    return sum(
        not agree(one, other, rule.tolerance)
        for one, other in zip(candidate, champion, strict=True)
    )


def count_first(
    requests: Iterable[tuple[str, bool]], seen: Collection[str]
) -> tuple[int, int, set[str]]:
    """Count the units that ask for the first time in the stage, and those that failed then.

    `requests` are a block's (unit, failed) of one arm in the order of time, `seen` the arm's units
    of the stage's blocks before. The third figure is what `seen` becomes.
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
        raise ValueError(f"found {value:g}; allowed: a number from 0 on")
    return min(value, cap) / cap


def agree(one: Answer, other: Answer, tolerance: float) -> bool:
    """Whether two answers are the same: equal classes, or numbers within the tolerance."""
    words = (str, bool, type(None))
    if isinstance(one, words) or isinstance(other, words):
        return one == other
    return abs(one - other) <= tolerance
