"""Scores of cases: rates, means, pairs with the active version, and what is refused."""

import numpy as np
import pytest

from sluice.stats.prompts.cost import CaseCost, measure_cost
from sluice.stats.prompts.criteria import CaseScores, CriterionScores, measure_criterion


def scores(values: list[list[float]], first: int = 0) -> CaseScores:
    names = tuple(f"case {first + place}" for place in range(len(values)))
    return CaseScores(names, np.array(values, dtype=float).reshape(len(values), -1))


def test_a_case_fails_if_any_repeat_fails_and_repeats_are_no_cases() -> None:
    figure = measure_criterion(
        CriterionScores("format", "rate", 0.95, scores([[1, 1, 0], [1, 1, 1], [0, 0, 0]])), 200, 0
    )
    assert (figure.candidate.value, figure.candidate.n) == (1 / 3, 3)


def test_a_mean_is_over_cases_of_their_repeats() -> None:
    values = [[1.0, 0.0], [1.0, 1.0]] * 40
    figure = measure_criterion(CriterionScores("tone", "mean", 0.5, scores(values)), 200, 0)
    assert (figure.candidate.value, figure.candidate.n) == (0.75, 80)


def test_versions_are_compared_on_the_cases_that_both_have() -> None:
    ours, theirs = scores([[1.0]] * 60), scores([[0.0]] * 60, first=10)
    figure = measure_criterion(CriterionScores("x", "mean", 0.5, ours, theirs), 200, 0)
    assert figure.difference is not None
    assert (figure.difference.value, figure.difference.n) == (1.0, 50)
    apart = CriterionScores("x", "mean", 0.5, ours, scores([[0.0]] * 60, first=90))
    difference = measure_criterion(apart, 200, 0).difference
    assert difference is not None
    assert difference.n == 0


@pytest.mark.parametrize("bad", [float("nan"), 1.2, -0.1, float("inf")])
def test_a_score_outside_its_range_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="no number between 0 and 1"):
        scores([[1.0], [bad]])


def test_a_case_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cases"):
        CaseScores(("a", "a"), np.ones((2, 1)))


def test_costs_are_compared_in_dollars_else_in_tokens() -> None:
    priced = {str(case): CaseCost(0.01, 50.0) for case in range(60)}
    free = {str(case): CaseCost(0.0, 100.0) for case in range(60)}
    assert measure_cost(priced, priced, 1).unit == "US dollars"
    tokens = measure_cost(free, {case: CaseCost(0.0, 50.0) for case in free}, 1)
    assert tokens.unit == "tokens"
    assert tokens.ratio is not None
    assert tokens.ratio.value == pytest.approx(2.0)


def test_an_unknown_price_is_counted_and_never_zero() -> None:
    priced = {str(case): CaseCost(0.01, 50.0) for case in range(60)}
    unknown = {**priced, "7": CaseCost(None, 50.0)}
    assert measure_cost(unknown, priced, 1).unknown == 1
    assert measure_cost(priced, unknown, 1).unknown == 1
    assert measure_cost(unknown, None).unknown == 1
    assert measure_cost(unknown, None).mean is None
