"""Evidence of the prompt gate: each criterion's score against its limit and the active version's.

A rate (format, safety) counts a case as failed if any of its repeats fails. A mean (relevance,
similarity, a judge) and every comparison take a case's mean over its repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sluice.stats.bootstrap import Estimate
from sluice.stats.prompts.bounds import (
    Floats,
    bound_difference,
    bound_mean,
    bound_rate,
    count_needed_cases,
)

CriterionKind = Literal["rate", "mean"]


@dataclass(frozen=True, eq=False)
class CaseScores:
    """Scores of one version by case; shape (cases, repeats), each between 0 and 1.

    `cases` are the names of the cases, in the order of the rows.
    """

    cases: tuple[str, ...]
    scores: Floats

    def __post_init__(self) -> None:
        """Check the shape and the range.

        Raises:
            ValueError: the scores are no table of finite numbers between 0 and 1, a row a case.
        """
        scores = self.scores
        if (
            scores.ndim != 2
            or len(scores) != len(self.cases)
            or len(set(self.cases)) != len(scores)
        ):
            raise ValueError(f"{len(self.cases)} cases with scores of shape {scores.shape}")
        if scores.size and not (np.isfinite(scores).all() and (abs(scores - 0.5) <= 0.5).all()):
            raise ValueError("a score is no number between 0 and 1")

    @property
    def means(self) -> Floats:
        """The mean over the repeats, shape (cases,)."""
        return self.scores.mean(axis=1) if self.scores.size else np.empty(0)

    @property
    def perfect(self) -> int:
        """The number of cases of which no repeat failed."""
        return int((self.scores >= 1.0).all(axis=1).sum())


@dataclass(frozen=True, eq=False)
class CriterionScores:
    """One criterion of a version: its scores, its limit, and the active version's scores.

    `limit` has to be exceeded. `shown_only` is the reason why the criterion decides nothing, such
    as a judge whose agreement with people is not proved.
    """

    name: str
    kind: CriterionKind
    limit: float
    candidate: CaseScores
    active: CaseScores | None = None
    shown_only: str = ""


@dataclass(frozen=True)
class CriterionFigure:
    """What was measured of one criterion.

    `difference` is candidate minus active version over the cases that both have, `p_value` that of
    a fall. `needed` is the number of cases that would prove a rate above its limit, if it stays
    as seen; None where none would.
    """

    name: str
    kind: CriterionKind
    limit: float
    candidate: Estimate
    active: float | None = None
    difference: Estimate | None = None
    p_value: float = 1.0
    needed: int | None = None
    shown_only: str = ""


@dataclass(frozen=True)
class PromptEvidence:
    """Everything that the prompt gate judges of a version.

    `cases` counts the evaluation set. `not_run` names each case without a result and why, as one
    sentence each. `active_version` is the version that serves, None where there is none.
    """

    cases: int
    figures: tuple[CriterionFigure, ...] = ()
    not_run: tuple[str, ...] = ()
    active_version: int | None = None


def measure_criterion(scores: CriterionScores, draws: int, seed: int) -> CriterionFigure:
    """Return a criterion's figure with its bounds, beside the active version where it has one."""
    candidate = scores.candidate
    needed = None
    if scores.kind == "rate":
        estimate = bound_rate(candidate.perfect, len(candidate.cases))
        needed = count_needed_cases(estimate.value or 0.0, scores.limit)
    else:
        estimate = bound_mean(candidate.means, draws, seed)
    active, difference, p_value = None, None, 1.0
    if scores.active is not None:
        ours, theirs = pair_cases(candidate, scores.active)
        difference, p_value = bound_difference(ours - theirs, draws, seed)
        active = float(theirs.mean()) if len(theirs) else None
    return CriterionFigure(
        scores.name,
        scores.kind,
        scores.limit,
        estimate,
        active,
        difference,
        p_value,
        needed,
        scores.shown_only,
    )


def measure_prompt(
    cases: int,
    criteria: Sequence[CriterionScores],
    not_run: Sequence[str] = (),
    active_version: int | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> PromptEvidence:
    """Return the evidence of a version's evaluation."""
    figures = tuple(measure_criterion(item, draws, seed) for item in criteria)
    return PromptEvidence(cases, figures, tuple(not_run), active_version)


def pair_cases(ours: CaseScores, theirs: CaseScores) -> tuple[Floats, Floats]:
    """Return both versions' mean scores of the cases that both have, in our order."""
    places = {case: place for place, case in enumerate(theirs.cases)}
    shared = [(place, places[case]) for place, case in enumerate(ours.cases) if case in places]
    if not shared:
        return np.empty(0), np.empty(0)
    first, second = map(list, zip(*shared, strict=True))
    return ours.means[first], theirs.means[second]
