"""The gates on the default service's real rows, compared with the published figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier

from sluice.config.loading import load_service
from sluice.gates.bias import BiasGate, measure_bias
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.home import SAMPLES
from sluice.metrics import prepare_mean
from sluice.stats.bootstrap import Resampling, bound_draws, count_needed_rows
from sluice.stats.holdout import Predictions
from sluice.verdict import Outcome

CONFIG = load_service("employment", "production")
FEATURES = list(CONFIG.data.features)
YEARS = (2015, 2016, 2017)


@dataclass(frozen=True, eq=False)
class Rows:
    frame: pd.DataFrame
    is_held_out: NDArray[np.bool_]

    @property
    def y(self) -> NDArray[np.int64]:
        return self.frame["employed"].to_numpy()

    @property
    def holdout(self) -> Holdout:
        return Holdout(
            self.y[self.is_held_out], self.frame[self.is_held_out].reset_index(drop=True)
        )

    def fit(self, features: list[str], y: NDArray[np.int64], years: Any = YEARS) -> Predictions:
        is_training = ~self.is_held_out & self.frame["survey_year"].isin(years).to_numpy()
        table = self.frame[features].copy()
        for column in table.columns[[str(kind) == "str" for kind in table.dtypes]]:
            table[column] = table[column].astype("category")
        model = HistGradientBoostingClassifier(random_state=7, categorical_features="from_dtype")
        model.fit(table[is_training], y[is_training])
        scores = model.predict_proba(table[self.is_held_out])[:, 1]
        return Predictions((scores >= 0.5).astype(int), scores)


@pytest.fixture(scope="module")
def rows() -> Rows:
    years = [pd.read_parquet(SAMPLES / f"acs_employment_{year}.parquet") for year in YEARS]
    frame = pd.concat(years, ignore_index=True)
    return Rows(frame, np.random.default_rng(0).random(len(frame)) < CONFIG.split.holdout)


@pytest.fixture(scope="module")
def clean(rows: Rows) -> Predictions:
    return rows.fit(FEATURES, rows.y)


@pytest.fixture(scope="module")
def champion(rows: Rows) -> Predictions:
    """Return the champion's predictions, from a model without the newest year."""
    return rows.fit(FEATURES, rows.y, years=YEARS[:2])


def compare_accuracy(rows: Rows, one: Predictions, other: Predictions) -> NDArray[np.float64]:
    y = rows.holdout.y
    return (one.labels == y).astype(float) - (other.labels == y)


def test_clean_model_passes_both_gates(
    rows: Rows, clean: Predictions, champion: Predictions
) -> None:
    measured = measure_evaluation(
        CONFIG.evaluation, "binary", 1, rows.holdout, clean, champion, training=rows.y
    )
    treated = measure_bias(CONFIG.bias, "binary", 1, rows.holdout, clean)
    verdicts = (
        EvaluationGate(CONFIG.evaluation).judge(measured),
        BiasGate(CONFIG.bias).judge(treated),
    )
    assert [verdict.message for verdict in verdicts if not verdict.passed] == []


def test_spread_of_the_accuracy_is_the_published_one(
    rows: Rows, clean: Predictions, champion: Predictions
) -> None:
    spread = compare_accuracy(rows, clean, champion).std(ddof=1)
    assert 0.155 < spread < 0.195
    assert 1_500 < count_needed_rows(spread, 0.01) < 2_350


@pytest.mark.parametrize("n", [1_000, 3_600])
def test_equal_models_pass_as_often_as_published(
    rows: Rows, clean: Predictions, champion: Predictions, n: int
) -> None:
    difference = compare_accuracy(rows, clean, champion)
    difference *= 0.19 / difference.std()  # the published rates are those of the largest spread
    random, passed, rounds = np.random.default_rng(1), 0, 150
    for seed in range(rounds):
        # The candidate is chosen at random in each row, so neither model is better.
        drawn = random.choice(difference, n) * random.choice([-1, 1], n)
        draws = Resampling(n, 200, seed).apply([prepare_mean(drawn)])[0]
        passed += (bound_draws(float(drawn.mean()), draws, n).low or -1.0) > -0.01
    published = {1_000: 0.50, 3_600: 0.93}[n]
    assert stats.binomtest(passed, rounds, published).pvalue > 0.001


def test_candidate_with_too_few_features_is_stopped(rows: Rows, clean: Predictions) -> None:
    poor = rows.fit(["education", "marital_status"], rows.y)
    measured = measure_evaluation(
        CONFIG.evaluation, "binary", 1, rows.holdout, poor, clean, training=rows.y
    )
    verdict = EvaluationGate(CONFIG.evaluation).judge(measured)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("auc .6")


def test_flipped_labels_of_married_women_are_found(rows: Rows) -> None:
    women = (rows.frame["sex"] == "female") & (rows.frame["marital_status"] == "married")
    y = rows.y.copy()
    y[women & (y == 1) & (np.random.default_rng(2).random(len(y)) < 0.7)] = 0
    biased = rows.fit([*FEATURES, "sex"], y)
    evidence = measure_bias(CONFIG.bias, "binary", 1, rows.holdout, biased)
    verdict = BiasGate(CONFIG.bias).judge(evidence)
    check = next(c for c in verdict.checks if c.name == "true-positive difference of sex=female")
    assert verdict.outcome is Outcome.FAIL
    assert check.measured == pytest.approx(-0.47, abs=0.03)
    assert check.interval == pytest.approx((-0.50, -0.43), abs=0.03)
