"""The power of one feature alone, also for columns that only look informative."""

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet
from sklearn.metrics import roc_auc_score

from sluice.data.leakage import (
    estimate_power,
    measure_leakage,
    number_levels,
    rank_levels,
    rank_rates,
)
from sluice.home import SAMPLES

ROWS = 4000
RNG = np.random.default_rng(5)
LABEL = pd.Series((RNG.random(ROWS) < 0.6).astype(int))


def power_of(values: object, problem: str = "binary", target: object = None) -> float:
    label = LABEL if target is None else pd.Series(target)
    found = estimate_power(pd.Series(values), label, problem)  # type: ignore[arg-type]
    assert found is not None
    return found[0]


def test_the_area_is_that_of_scikit_learn() -> None:
    rates = np.round(RNG.random(ROWS) * 0.7 + 0.3 * LABEL, 2)
    area, error = rank_rates(LABEL.to_numpy(float), rates.to_numpy())
    assert area == pytest.approx(roc_auc_score(LABEL, rates))
    assert 0.0 < error < 0.02


def test_a_copy_of_the_target_has_all_power() -> None:
    assert power_of(LABEL.map({0: "no", 1: "yes"})) == 1.0


def test_a_number_sorted_by_the_target_has_nearly_all_power() -> None:
    assert power_of(LABEL * 10.0 + RNG.random(ROWS)) > 0.97


def test_an_unrelated_column_has_none() -> None:
    assert power_of(RNG.normal(size=ROWS)) < 0.54


def test_a_column_whose_every_value_is_unique_has_none() -> None:
    assert power_of([f"row {index}" for index in range(ROWS)]) < 0.52


def test_a_null_that_follows_the_target_has_power() -> None:
    assert power_of(np.where(LABEL == 1, "x", None)) == 1.0
    assert power_of(np.where(LABEL == 1, RNG.random(ROWS), np.nan)) == 1.0


def test_power_does_not_depend_on_direction() -> None:
    noisy = LABEL + RNG.normal(scale=0.8, size=ROWS)
    assert power_of(noisy) == pytest.approx(power_of(-noisy), abs=0.01)


def test_a_column_that_names_one_class_of_several_has_its_power() -> None:
    classes = RNG.integers(0, 3, ROWS)
    assert power_of(np.where(classes == 2, "two", "other"), "multiclass", classes) == 1.0
    late = np.where(classes == 2, RNG.normal(size=ROWS), np.nan)
    assert power_of(late, "multiclass", classes) == 1.0


def test_a_measurement_that_separates_one_class_has_the_gain_over_all() -> None:
    classes = RNG.integers(0, 3, ROWS)
    length = np.where(classes == 2, 10.0, 0.0) + RNG.normal(size=ROWS)
    assert power_of(length, "multiclass", classes) == pytest.approx(0.75, abs=0.02)


def test_the_gain_over_all_classes_is_goodman_and_kruskals_tau() -> None:
    classes = RNG.integers(0, 4, ROWS)
    codes = np.where(RNG.random(ROWS) < 0.5, classes, RNG.integers(0, 4, ROWS))
    spread = codes * 10 + RNG.integers(0, 5, ROWS)  # 20 values, so that it is no code
    table = pd.crosstab(codes, classes, normalize="all").to_numpy()
    levels, shares = table.sum(axis=1, keepdims=True), table.sum(axis=0)
    tau = ((table**2 / levels).sum() - (shares**2).sum()) / (1 - (shares**2).sum())
    assert power_of(spread, "multiclass", classes) == pytest.approx((1 + tau) / 2, abs=0.01)


@pytest.mark.parametrize("classes", [3, 8, 30])
@pytest.mark.parametrize("errors", [0.0, 0.05, 0.1])
def test_a_code_of_several_classes_is_strong_despite_errors(classes: int, errors: float) -> None:
    label = RNG.integers(0, classes, ROWS)
    code = np.where(RNG.random(ROWS) < errors, RNG.integers(0, classes, ROWS), label)
    for values in (code, -2 * code, [f"code {value}" for value in code]):
        assert power_of(values, "multiclass", label) > 0.9


def test_areas_of_a_table_are_those_of_scikit_learn() -> None:
    levels, label = RNG.integers(0, 7, ROWS), RNG.integers(0, 3, ROWS)
    table = pd.crosstab(levels, label).to_numpy()
    for one in range(3):
        rates = (table[:, one] / table.sum(axis=1))[levels]
        assert rank_levels(table)[one] == pytest.approx(roc_auc_score(label == one, rates))


def test_a_copy_of_a_skewed_number_has_nearly_all_power() -> None:
    value = np.exp(3 * RNG.normal(size=ROWS))
    assert power_of(value, "regression", value) > 0.99
    assert power_of(-np.log(value), "regression", value) > 0.99
    assert power_of(np.log(value) + RNG.normal(size=ROWS), "regression", value) < 0.9


def test_regression_scores_the_explained_variance() -> None:
    value = RNG.normal(size=ROWS)
    assert power_of(value + 1e-3, "regression", value) > 0.97
    assert power_of(RNG.normal(size=ROWS), "regression", value) < 0.51


def test_too_few_rows_or_one_class_have_no_power() -> None:
    assert estimate_power(pd.Series([1.0] * 199), pd.Series([0, 1] * 99 + [0]), "binary") is None
    assert estimate_power(pd.Series([1.0] * 300), pd.Series([1] * 300), "binary") is None
    assert estimate_power(pd.Series([1.0] * 300), pd.Series([2.5] * 300), "regression") is None


def test_numbers_are_cut_into_bins_and_null_is_a_level() -> None:
    levels = number_levels(pd.Series([np.nan, *np.arange(1000.0)]))
    assert levels[0] == 0
    assert len(np.unique(levels)) == 33
    assert (np.diff(levels[1:]) >= 0).all()


def test_the_clean_survey_leaks_nothing_and_age_is_strongest() -> None:
    frame = parquet.read_table(SAMPLES / "acs_employment_2015.parquet").to_pandas()
    features = tuple(set(frame.columns) - {"person_id", "survey_year", "employed"})
    new = pd.Series(data=True, index=frame.index)
    found = measure_leakage(frame, new, features, "employed", "binary")
    strongest = max(found, key=lambda item: item.power or 0.0)
    assert strongest.feature == "age"
    assert strongest.power == pytest.approx(0.77, abs=0.015)


def test_a_leak_in_the_newest_rows_is_not_diluted() -> None:
    frame = pd.DataFrame(
        {"mark": RNG.choice(["a", "b"], 3 * ROWS), "y": RNG.integers(0, 2, 3 * ROWS)}
    )
    new = pd.Series(np.arange(3 * ROWS) >= 2 * ROWS)
    frame.loc[new, "mark"] = np.where(frame.loc[new, "y"] == 1, "a", "b")
    (found,) = measure_leakage(frame, new, ("mark",), "y", "binary")
    assert found.part == "new rows"
    assert found.power == 1.0
    assert found.n == ROWS


def test_the_same_rows_have_the_same_power() -> None:
    noisy = LABEL + RNG.normal(size=ROWS)
    assert power_of(noisy) == power_of(noisy)
