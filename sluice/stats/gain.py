"""What a promotion gained: live labelled answers of two versions, before and after it."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sluice.config.model import Problem
from sluice.stats.bootstrap import Estimate

LEAST_ANSWERS = 100
"""Fewest labelled answers on each side; with fewer the gain is not judged."""
LEAST_UNITS = 30
"""Fewest users or sessions on each side."""
ALPHA = 0.05
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoredAnswers:
    """Labelled answers of one version: shape (answers,) each.

    `scores` is 1 for a right class and 0 for a wrong one, or the absolute error of a number.
    `units` names the user or session of each answer, whose answers depend on each other.
    """

    scores: Floats
    units: NDArray[np.str_]

    @property
    def n(self) -> int:
        """The number of answers."""
        return len(self.scores)

    @property
    def mean(self) -> float:
        """The accuracy, or the mean absolute error; only with answers."""
        return float(self.scores.mean())

    def sum_residuals(self) -> Floats:
        """Return the sum of each unit's differences from the mean, shape (units,)."""
        _, places = np.unique(self.units, return_inverse=True)
        return np.bincount(places, self.scores - self.mean).astype(np.float64)


@dataclass(frozen=True)
class LiveGain:
    """The metric before and after a promotion, and the gain; a positive gain is better.

    `gain` has a two-sided 95 % interval. Where it was not judged, `reason` says why.
    """

    metric: str
    before: Estimate
    after: Estimate
    gain: Estimate
    reason: str = ""

    @property
    def conclusion(self) -> str:
        """What the interval says, in words."""
        if self.gain.low is None or self.gain.high is None:
            return f"not judged: {self.reason}"
        if self.gain.low > 0:
            return "better"
        return "worse" if self.gain.high < 0 else "no difference proved"


def measure_gain(problem: Problem, before: ScoredAnswers, after: ScoredAnswers) -> LiveGain:
    """Compare labelled answers before and after a promotion.

    Classes: the difference of two accuracies by Newcombe's hybrid score interval (1998, method 10),
    with n divided by the design effect of units that have several answers (Kish 1965). Numbers: the
    difference of two mean absolute errors by Welch's t interval, with variances of units' sums.
    Answers of one unit on both sides make the interval wider than needed, never narrower where
    they are alike.
    """
    is_number = problem == "regression"
    metric = "mean absolute error" if is_number else "accuracy"
    sides = (_describe(before), _describe(after))
    if reason := find_lack(before, after):
        return LiveGain(metric, *sides, Estimate(None, None, None, min(before.n, after.n)), reason)
    gain = _compare_numbers(before, after) if is_number else _compare_classes(before, after)
    return LiveGain(metric, *sides, gain)


def find_lack(before: ScoredAnswers, after: ScoredAnswers) -> str:
    """Return why the answers are too few to be compared; empty where they are enough."""
    for name, side in (("before", before), ("after", after)):
        if side.n < LEAST_ANSWERS:
            return f"{side.n} labelled answers {name} the promotion, {LEAST_ANSWERS} are needed"
        if (units := len(np.unique(side.units))) < LEAST_UNITS:
            return f"{units} users or sessions {name} the promotion, {LEAST_UNITS} are needed"
    return ""


def _describe(side: ScoredAnswers) -> Estimate:
    return Estimate(side.mean if side.n else None, None, None, side.n)


def _compare_classes(before: ScoredAnswers, after: ScoredAnswers) -> Estimate:
    (old, old_low, old_high), (new, new_low, new_high) = _score(before), _score(after)
    gain = new - old
    low = gain - math.hypot(new - new_low, old_high - old)
    high = gain + math.hypot(new_high - new, old - old_low)
    return Estimate(gain, low, high, min(before.n, after.n))


def _score(side: ScoredAnswers) -> tuple[float, float, float]:
    """Return an accuracy with Wilson's bounds, on the effective number of answers."""
    share, n = side.mean, _count_effective(side)
    z = NormalDist().inv_cdf(1 - ALPHA / 2)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return share, max(0.0, centre - half), min(1.0, centre + half)


def _count_effective(side: ScoredAnswers) -> float:
    """Return n divided by the design effect; the number of units where all scores are equal."""
    sums = side.sum_residuals()
    alone = side.mean * (1 - side.mean) * side.n
    if alone == 0.0:
        return float(len(sums))
    return side.n / max(1.0, float(np.square(sums).sum()) / alone)


def _compare_numbers(before: ScoredAnswers, after: ScoredAnswers) -> Estimate:
    parts = [_measure_variance(side) for side in (before, after)]
    total = sum(variance for variance, _ in parts)
    gain, n = before.mean - after.mean, min(before.n, after.n)
    if total == 0.0:
        return Estimate(gain, gain, gain, n, 0.0)
    degrees = total**2 / sum(variance**2 / (units - 1) for variance, units in parts)
    half = float(stats.t.ppf(1 - ALPHA / 2, degrees)) * math.sqrt(total)
    return Estimate(gain, gain - half, gain + half, n, math.sqrt(total))


def _measure_variance(side: ScoredAnswers) -> tuple[float, int]:
    """Return the variance of a side's mean, and its number of units."""
    sums = side.sum_residuals()
    units = len(sums)
    return float(np.square(sums).sum()) * units / (units - 1) / side.n**2, units
