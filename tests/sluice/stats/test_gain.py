"""The gain of a promotion on live labels, against published intervals and simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from sluice.stats.gain import LEAST_ANSWERS, ScoredAnswers, measure_gain


def classes(right: int, n: int, prefix: str = "u") -> ScoredAnswers:
    scores = np.repeat([1.0, 0.0], [right, n - right])
    return ScoredAnswers(scores, np.array([f"{prefix}{place}" for place in range(n)]))


@pytest.mark.parametrize(
    ("before", "after"),
    [((370, 500), (560, 700)), ((100, 100), (150, 150)), ((5, 120), (0, 300)), ((60, 120),) * 2],
)
def test_accuracies_of_single_answers_have_newcombes_interval(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    found = measure_gain("binary", classes(*before), classes(*after))
    low, high = confint_proportions_2indep(*after, *before, method="newcomb", compare="diff")
    assert found.gain.interval == pytest.approx((low, high), abs=1e-12)
    assert found.gain.value == pytest.approx(after[0] / after[1] - before[0] / before[1])


def test_errors_of_single_answers_have_welchs_interval() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.gamma(2.0, 3.0, 400), rng.gamma(2.0, 2.0, 250)
    found = measure_gain("regression", number(before), number(after))
    expected = stats.ttest_ind(before, after, equal_var=False).confidence_interval(0.95)
    assert found.gain.interval == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert found.metric == "mean absolute error"
    assert found.conclusion == "better"


def number(scores: np.ndarray) -> ScoredAnswers:
    return ScoredAnswers(scores, np.array([f"u{place}" for place in range(len(scores))]))


def test_answers_of_the_same_users_widen_the_interval() -> None:
    alone = measure_gain("binary", classes(740, 1000), classes(790, 1000))
    before, after = classes(740, 1000), classes(790, 1000)
    units = np.array([f"u{place // 10}" for place in range(1000)])
    shared = measure_gain(
        "binary", ScoredAnswers(before.scores, units), ScoredAnswers(after.scores, units)
    )
    assert alone.gain.low is not None
    assert shared.gain.low is not None
    assert alone.conclusion == "better"
    assert shared.conclusion == "no difference proved"
    assert shared.gain.low < alone.gain.low


def test_too_few_answers_or_users_are_not_judged() -> None:
    few = measure_gain("binary", classes(70, LEAST_ANSWERS - 1), classes(700, 1000))
    assert few.gain.value is None
    assert few.conclusion == (
        "not judged: 99 labelled answers before the promotion, 100 are needed"
    )
    one = ScoredAnswers(np.ones(200), np.array(["one user"] * 200))
    users = measure_gain("binary", classes(70, 200), one)
    assert users.reason == "1 users or sessions after the promotion, 30 are needed"
    none = ScoredAnswers(np.array([]), np.array([], dtype=str))
    assert measure_gain("regression", none, none).before.value is None


def test_a_worse_version_is_said_to_be_worse() -> None:
    assert measure_gain("multiclass", classes(800, 1000), classes(700, 1000)).conclusion == "worse"


def test_errors_that_are_all_alike_have_an_exact_gain() -> None:
    found = measure_gain("regression", number(np.full(100, 2.0)), number(np.full(100, 1.5)))
    assert (found.gain.value, found.gain.interval) == (0.5, (0.5, 0.5))


def test_the_interval_covers_the_true_gain_also_of_clustered_answers() -> None:
    """Each user has a share of right answers of their own; 95 % of 300 intervals, within noise."""
    rng = np.random.default_rng(18)
    covered = 0
    for _ in range(300):
        sides = []
        for share in (0.72, 0.80):
            sizes = rng.integers(1, 9, 150)
            own = rng.beta(share * 4, (1 - share) * 4, 150)
            units = np.repeat([f"u{place}" for place in range(150)], sizes)
            scores = (rng.random(len(units)) < np.repeat(own, sizes)).astype(np.float64)
            sides.append(ScoredAnswers(scores, units))
        interval = measure_gain("binary", sides[0], sides[1]).gain.interval
        assert interval is not None
        covered += interval[0] <= 0.08 <= interval[1]
    assert 0.91 * 300 <= covered <= 0.99 * 300
