"""Whether units were assigned as planned: the sample ratio, overall and by segment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluice.experiments.requests import ExperimentUnits
from sluice.rollout.balance import THRESHOLD, compare_ratio

ALL = "all units"
MOST_LEVELS = 20
"""Levels of a segment that are checked one by one; the smaller ones together, as `other`."""


@dataclass(frozen=True)
class RatioCheck:
    """Units of both arms in one segment, and the evidence that they were not split as planned."""

    segment: str
    units_a: int
    units_b: int
    expected: float
    """The treatment's planned share."""
    log_evidence: float
    """Logarithm of the e-value; it stops the analysis at log(1000)."""

    @property
    def is_broken(self) -> bool:
        """Whether the split is not the planned one."""
        return self.log_evidence >= THRESHOLD

    @property
    def share(self) -> float:
        """The treatment's share of units; 0 without units."""
        total = self.units_a + self.units_b
        return self.units_b / total if total else 0.0

    def describe(self) -> str:
        """Return the finding as text, such as `all units: 14.2 % of 2,310 units, planned 10 %`."""
        total = self.units_a + self.units_b
        return f"{self.segment}: {self.share:.1%} of {total:,} units, planned {self.expected:.1%}"


def check_split(units: ExperimentUnits, weight: float) -> tuple[RatioCheck, ...]:
    """Check the sample ratio of all units, then of each segment's levels.

    Raises:
        ValueError: the weight is not between 0 and 1.
    """
    found = [_check(ALL, units.assigned, weight)]
    for name, levels in units.assigned_by.items():
        found += [_check(f"{name}={level}", pair, weight) for level, pair in pool_levels(levels)]
    return tuple(found)


def pool_levels(
    levels: Mapping[str, tuple[int, int]],
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the largest levels, and all others as one: many small ones would alarm by chance."""
    ordered = sorted(levels.items(), key=lambda item: (-sum(item[1]), item[0]))
    yield from ordered[:MOST_LEVELS]
    rest = [pair for _, pair in ordered[MOST_LEVELS:]]
    if rest:
        yield "other", (sum(a for a, _ in rest), sum(b for _, b in rest))


def _check(segment: str, pair: tuple[int, int], weight: float) -> RatioCheck:
    return RatioCheck(segment, *pair, weight, compare_ratio(pair[1], pair[0], weight))
