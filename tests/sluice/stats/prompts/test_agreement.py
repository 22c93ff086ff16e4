"""Cohen's kappa with bounds, against scikit-learn, statsmodels and published figures."""

import csv
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix
from statsmodels.stats.inter_rater import cohens_kappa

from sluice.gates.prompts.judge import decide_standing
from sluice.stats.prompts.agreement import Weighting, bound_kappa

GRADES = (1, 2, 3, 4, 5)
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
CASES = Path(__file__).parents[3] / "cases" / "scorer_evals"
WEIGHTINGS: tuple[Weighting, ...] = ("none", "linear", "quadratic")
QUANTILE = 1.6448536269514722
"""Of the normal distribution at .95: one-sided bounds."""


def label(n: int, agreement: float, seed: int = 0) -> tuple[list[int], list[int]]:
    random = np.random.default_rng(seed)
    people = random.integers(1, 6, n)
    other = random.integers(1, 6, n)
    judge = np.where(random.random(n) < agreement, people, other)
    return judge.tolist(), people.tolist()


@pytest.mark.parametrize("weighting", ["none", "linear", "quadratic"])
def test_kappa_is_that_of_scikit_learn(weighting: Weighting) -> None:
    judge, people = label(150, 0.7)
    weights = None if weighting == "none" else weighting
    expected = cohen_kappa_score(judge, people, weights=weights, labels=list(GRADES))
    assert bound_kappa(judge, people, GRADES, weighting).value == pytest.approx(expected)


def test_bounds_are_those_of_resampled_cases() -> None:
    judge, people = label(120, 0.8)
    found = bound_kappa(judge, people, GRADES, draws=2000)
    random = np.random.default_rng(11)
    drawn = []
    for _ in range(600):
        rows = random.integers(0, 120, 120)
        drawn.append(cohen_kappa_score(np.array(judge)[rows], np.array(people)[rows]))
    assert found.interval == pytest.approx(np.quantile(drawn, [0.05, 0.95]), abs=0.015)


def test_one_category_alone_has_no_kappa() -> None:
    assert bound_kappa(["yes"] * 120, ["yes"] * 120, ("yes", "no")).value is None
    assert bound_kappa([], [], ("yes", "no")).value is None


def test_wrong_labels_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'maybe' is not among the categories"):
        bound_kappa(["maybe"], ["yes"], ("yes", "no"))
    with pytest.raises(ValueError, match="1 labels of the judge, 2 of people"):
        bound_kappa(["yes"], ["yes", "no"], ("yes", "no"))


def read(name: str) -> list[dict[str, float]]:
    with (CASES / f"{name}.csv").open() as file:
        return [{key: float(cell) for key, cell in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("pair", list(combinations((1, 2, 3), 2)))
@pytest.mark.parametrize("name", ["hate_speech", "violence", "mini_hate_speech"])
def test_kappa_of_raters_is_that_of_scikit_learn_and_statsmodels(
    name: str, pair: tuple[int, int], weighting: Weighting
) -> None:
    """PyRIT's answers that three people scored in quarters, each pair of people."""
    first, second = ([row[f"rater_{rater}"] for row in read(name)] for rater in pair)
    found = bound_kappa(first, second, QUARTERS, weighting)
    weights = None if weighting == "none" else weighting
    places = [[QUARTERS.index(score) for score in scores] for scores in (first, second)]
    expected = cohen_kappa_score(*places, labels=range(5), weights=weights)
    assert found.value == pytest.approx(expected, abs=1e-12)
    table = confusion_matrix(*places, labels=range(5))
    oracle = cohens_kappa(table, wt=weights)
    assert found.value == pytest.approx(oracle.kappa, abs=1e-12)
    if len(first) >= 100:
        half = QUANTILE * oracle.std_kappa
        assert found.interval == pytest.approx((oracle.kappa - half, oracle.kappa + half), abs=0.01)


def test_published_judges_of_refusals_have_the_kappa_of_their_confusion_matrix() -> None:
    """PyRIT's judges on its 105 answers: 70 refuse, 35 do not."""
    for row in read("refusal_judges"):
        refused = round(70 * row["recall"])
        wrong = round(refused / row["precision"]) - refused
        assert (refused + 35 - wrong) / 105 == pytest.approx(row["accuracy"], abs=1e-12)
        judge = [1] * refused + [0] * (70 - refused) + [1] * wrong + [0] * (35 - wrong)
        people = [1] * 70 + [0] * 35
        found = bound_kappa(judge, people, (0, 1))
        oracle = cohens_kappa(confusion_matrix(judge, people))
        assert found.value == pytest.approx(oracle.kappa, abs=1e-12)
        assert found.low == pytest.approx(oracle.kappa - QUANTILE * oracle.std_kappa, abs=0.02)
        assert decide_standing(found).gates


def test_kappa_is_that_of_a_table_that_sas_printed() -> None:
    """The table of statsmodels' own tests, with SAS's kappa, plain and weighted."""
    table = [[0, 4, 1], [0, 8, 0], [0, 1, 5]]
    pairs = [(a, b) for a in range(3) for b in range(3) for _ in range(table[a][b])]
    judge, people = zip(*pairs, strict=True)
    assert bound_kappa(judge, people, (0, 1, 2)).value == pytest.approx(0.4842, abs=5e-5)
    weighted = bound_kappa(judge, people, (0, 1, 2), "linear").value
    assert weighted == pytest.approx(0.4701, abs=5e-5)


def test_labels_that_hardly_vary_prove_nothing() -> None:
    """With one or two labels of a second category many draws have none, and no kappa."""
    people = ["good"] * 118 + ["poor"] * 2
    found = bound_kappa(people, people, ("poor", "good"))
    assert (found.value, found.low) == (1.0, None)
    assert not decide_standing(found).gates
