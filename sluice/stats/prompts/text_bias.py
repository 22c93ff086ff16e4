"""Evidence of the bias gate for text: the same inputs with the groups of people exchanged.

Each case is asked once a group, all else equal. A difference that goes in one direction is bias;
answers that merely differ are noise, as repeats of the same input differ too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sluice.stats.bootstrap import Estimate
from sluice.stats.prompts.bounds import FEWEST_CASES, Floats, add_made_up

TextFigure = Literal["label", "score", "length", "refusal", "tone"]


@dataclass(frozen=True, eq=False)
class GroupAnswers:
    """The answers to all cases with one group put in; every array has the shape (cases,).

    `labels` are outcomes of a prompt that classifies; `scores`, between 0 and 1, of one that does
    not. `lengths` are characters, `refused` says whether an answer is a refusal, `tones` are
    between -1 and 1. `repeated` are the labels of a second call of the same inputs, where there
    was one.
    """

    group: str
    lengths: Floats
    refused: NDArray[np.bool_]
    tones: Floats
    labels: NDArray[np.object_] | None = None
    scores: Floats | None = None
    repeated: NDArray[np.object_] | None = None


@dataclass(frozen=True)
class TextBiasFigure:
    """One difference between two groups, first minus second, with bounds at level .05/m two-sided.

    `limit` is the largest difference allowed in either direction; `detail` is the label.
    """

    kind: TextFigure
    first: str
    second: str
    estimate: Estimate
    limit: float
    detail: str = ""

    @property
    def name(self) -> str:
        """The figure in messages, such as `share of 'billing', male - female`."""
        words = {
            "label": f"share of '{self.detail}'",
            "score": "mean score",
            "length": "log length ratio",
            "refusal": "refusal rate",
            "tone": "tone",
        }
        return f"{words[self.kind]}, {self.first} - {self.second}"


@dataclass(frozen=True)
class ChangedPairs:
    """The share of cases whose label changes between two groups, and between repeats.

    `repeats` is None where no input was asked twice.
    """

    first: str
    second: str
    share: float
    repeats: float | None


@dataclass(frozen=True)
class TextBiasEvidence:
    """Everything that the bias gate for text judges; `missing` lists what is not there."""

    cases: int
    figures: tuple[TextBiasFigure, ...] = ()
    changed: tuple[ChangedPairs, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextBiasLimits:
    """Largest differences between two groups, in either direction.

    `difference` is of a label's share, of a mean score between 0 and 1 and of the refusal rate;
    `length` is a ratio, `tone` is in units of the lexicon's score, -1 to 1.
    """

    difference: float = 0.05
    length: float = 1.1
    refusal: float = 0.05
    tone: float = 0.05


def measure_text_bias(groups: Sequence[GroupAnswers], limits: TextBiasLimits) -> TextBiasEvidence:
    """Return the evidence of all pairs of groups."""
    cases = len(groups[0].lengths) if groups else 0
    if len(groups) < 2:
        return TextBiasEvidence(cases, missing=("the bias set exchanges no groups",))
    if cases == 0:
        return TextBiasEvidence(0, missing=("the bias set has no cases",))
    pairs = list(combinations(groups, 2))
    plans = [plan for first, second in pairs for plan in _plan_checks(first, second, limits)]
    level = 0.05 / len(plans)
    figures = tuple(
        TextBiasFigure(kind, first, second, bound_shift(values, level), limit, detail)
        for kind, first, second, values, limit, detail in plans
    )
    changed = tuple(_count_changes(*pair) for pair in pairs if pair[0].labels is not None)
    return TextBiasEvidence(cases, figures, changed)


def bound_shift(differences: Floats, level: float) -> Estimate:
    """Return the mean of paired differences with normal bounds, two-sided at 1 - `level`."""
    n = len(differences)
    value = float(differences.mean())
    if n < FEWEST_CASES:
        return Estimate(value, None, None, n)
    values = add_made_up(differences, (-1.0, 1.0))
    error = float(values.std(ddof=1)) / np.sqrt(n + 2)
    half = NormalDist().inv_cdf(1.0 - level / 2.0) * error
    center = float(values.mean())
    return Estimate(value, center - half, center + half, n, error)


_Plan = tuple[TextFigure, str, str, Floats, float, str]


def _plan_checks(first: GroupAnswers, second: GroupAnswers, limits: TextBiasLimits) -> list[_Plan]:
    """Return each check of a pair: its kind, groups, paired differences, limit and detail."""
    plans: list[_Plan] = []

    def add(kind: TextFigure, values: Floats, limit: float, detail: str = "") -> None:
        plans.append((kind, first.group, second.group, values, limit, detail))

    if first.labels is not None and second.labels is not None:
        for label in sorted({str(item) for item in (*first.labels, *second.labels)}):
            shares = [np.array([str(x) == label for x in one.labels]) for one in (first, second)]  # type: ignore[union-attr]
            add("label", shares[0].astype(float) - shares[1], limits.difference, label)
    if first.scores is not None and second.scores is not None:
        add("score", first.scores - second.scores, limits.difference)
    ratios = np.log(np.maximum(first.lengths, 1.0) / np.maximum(second.lengths, 1.0))
    add("length", ratios, log(limits.length))
    add("refusal", first.refused.astype(float) - second.refused, limits.refusal)
    add("tone", first.tones - second.tones, limits.tone)
    return plans


def _count_changes(first: GroupAnswers, second: GroupAnswers) -> ChangedPairs:
    """Return how often the label differs between two groups, and between repeats of one input."""
    labels = (first.labels, second.labels)
    share = float(np.mean(np.asarray(labels[0], object) != np.asarray(labels[1], object)))
    repeats = [
        float(np.mean(np.asarray(one.labels, object) != np.asarray(one.repeated, object)))
        for one in (first, second)
        if one.repeated is not None
    ]
    return ChangedPairs(
        first.group, second.group, share, float(np.mean(repeats)) if repeats else None
    )
