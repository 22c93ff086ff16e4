from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_absolute_error
from statsmodels.stats.contingency_tables import Table2x2

from sluice.config.bias import BiasConfig
from sluice.stats.fairness import (
    FairnessFigure,
    form_groups,
    measure_classification,
    measure_regression,
)

CONFIG = BiasConfig(sensitive=("sex",), draws=4000)


def make_rows(n: int, seed: int, tilt: float = 0.1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    sex = np.where(random.random(n) < 0.55, "female", "male")
    y = random.integers(0, 2, n)
    chance = 0.3 + 0.4 * y - tilt * (sex == "female")
    chosen = (random.random(n) < chance).astype(int)
    return pd.DataFrame({"sex": sex, "y": y, "chosen": chosen})


def measure(rows: pd.DataFrame, config: BiasConfig = CONFIG) -> dict[Any, FairnessFigure]:
    groups = form_groups(rows, ["sex"], pairs=False, minimum=config.minimum_group)
    y, chosen = rows["y"].to_numpy(), rows["chosen"].to_numpy()
    figures = measure_classification(config, groups, y, chosen)
    return {(figure.kind, figure.group): figure for figure in figures}


def test_rates_equal_those_of_fairlearn() -> None:
    rows = make_rows(2_000, 1)
    frame = MetricFrame(
        metrics={"s": selection_rate, "t": true_positive_rate, "f": false_positive_rate},
        y_true=rows["y"], y_pred=rows["chosen"], sensitive_features=rows["sex"],
    ).by_group  # fmt: skip
    figures = measure(rows)
    female, male = frame.loc["female"], frame.loc["male"]
    found = {kind: figures[kind, "sex=female"].estimate.value for kind, _ in figures}
    assert found["selection_ratio"] == pytest.approx(female["s"] / male["s"])
    assert found["true_positive_difference"] == pytest.approx(female["t"] - male["t"])
    assert found["false_positive_difference"] == pytest.approx(female["f"] - male["f"])


def test_error_of_a_selection_ratio_equals_the_delta_method() -> None:
    rows = make_rows(3_000, 2)
    table = pd.crosstab(rows["sex"], rows["chosen"]).loc[["female", "male"], [1, 0]]
    oracle = Table2x2(table.to_numpy())
    estimate = measure(rows)["selection_ratio", "sex=female"].estimate
    assert estimate.value == pytest.approx(oracle.riskratio)
    assert estimate.error == pytest.approx(oracle.log_riskratio_se, rel=0.05)


def test_intervals_are_normal_at_the_level_divided_by_the_checks() -> None:
    figures = measure(make_rows(2_000, 3))
    estimate = figures["true_positive_difference", "sex=female"].estimate
    z = stats.norm.ppf(1 - 0.05 / len(figures) / 2)
    assert estimate.low is not None
    assert estimate.value is not None
    assert estimate.value - estimate.low == pytest.approx(z * estimate.error)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000), tilt=st.floats(-0.2, 0.2))
def test_swapping_group_and_rest_inverts_the_ratio_and_negates_differences(
    seed: int, tilt: float
) -> None:
    figures = measure(make_rows(800, seed, tilt), CONFIG.model_copy(update={"draws": 500}))
    for kind in ("true_positive_difference", "false_positive_difference"):
        one, other = (figures[kind, f"sex={sex}"].estimate for sex in ("female", "male"))
        assert one.value == pytest.approx(-other.value)  # type: ignore[operator]
        assert one.low == pytest.approx(-other.high)  # type: ignore[operator]
    one, other = (figures["selection_ratio", f"sex={sex}"].estimate for sex in ("female", "male"))
    assert one.value == pytest.approx(1 / other.value)  # type: ignore[operator]
    assert one.low == pytest.approx(1 / other.high)  # type: ignore[operator]


def test_selection_ratio_has_the_label_ratio() -> None:
    rows = make_rows(1_000, 4)
    share = rows.groupby("sex")["y"].mean()
    figure = measure(rows)["selection_ratio", "sex=female"]
    assert figure.label_ratio == pytest.approx(share["female"] / share["male"])


def test_group_without_any_selected_row_has_a_finite_interval() -> None:
    rows = make_rows(1_000, 5)
    rows.loc[rows["sex"] == "female", "chosen"] = 0
    estimate = measure(rows)["selection_ratio", "sex=female"].estimate
    assert estimate.high is not None
    assert 0 < estimate.high < 0.2


def test_few_selected_anywhere_prove_nothing() -> None:
    rows = make_rows(400, 6)
    rows["chosen"] = 0
    rows.loc[rows.index[rows["sex"] == "male"][:2], "chosen"] = 1
    estimate = measure(rows)["selection_ratio", "sex=female"].estimate
    assert estimate.high is not None
    assert estimate.high > 0.8


def test_perfect_rates_do_not_claim_certainty() -> None:
    rows = make_rows(400, 7)
    rows["chosen"] = rows["y"]
    estimate = measure(rows)["true_positive_difference", "sex=female"].estimate
    assert estimate.value == 0.0
    assert estimate.low is not None
    assert estimate.low < -0.01


def test_group_with_few_positives_is_not_judged() -> None:
    rows = make_rows(400, 8)
    rows.loc[rows["sex"] == "female", "y"] = 0
    figure = measure(rows)["true_positive_difference", "sex=female"]
    assert not figure.judged
    assert "0 positives, 50 needed" in figure.note


def test_rest_that_is_too_small_is_named() -> None:
    rows = make_rows(400, 9)
    rows["sex"] = np.where(np.arange(400) < 30, "male", "female")
    figure = measure(rows)["selection_ratio", "sex=female"]
    assert not figure.judged
    assert figure.note.startswith("the rest has 30 rows")


def test_unjudged_figures_do_not_widen_the_intervals() -> None:
    config = CONFIG.model_copy(update={"minimum_positives": 100_000, "minimum_negatives": 100_000})
    estimate = measure(make_rows(2_000, 3), config)["selection_ratio", "sex=female"].estimate
    z = stats.norm.ppf(1 - 0.05 / 2 / 2)
    assert np.log(estimate.high / estimate.value) == pytest.approx(z * estimate.error)


def test_loss_ratio_equals_that_of_fairlearn() -> None:
    random = np.random.default_rng(1)
    sex = np.array(["female", "male"])[random.integers(0, 2, 1_500)]
    y = random.normal(size=1_500)
    predicted = y + random.normal(size=1_500) * np.where(sex == "female", 1.5, 1.0)
    frame = pd.DataFrame({"sex": sex})
    figures = measure_regression(
        CONFIG, form_groups(frame, ["sex"], False, 100), abs(y - predicted)
    )
    oracle = MetricFrame(
        metrics=mean_absolute_error, y_true=y, y_pred=predicted, sensitive_features=sex
    ).by_group
    found = {figure.group: figure.estimate for figure in figures}
    assert found["sex=female"].value == pytest.approx(oracle["female"] / oracle["male"])
    assert found["sex=female"].low == pytest.approx(1 / found["sex=male"].high)  # type: ignore[operator]


def test_error_of_a_loss_ratio_equals_scipy() -> None:
    random = np.random.default_rng(2)
    inside = np.arange(1_200) < 500
    errors = random.exponential(np.where(inside, 1.3, 1.0))
    frame = pd.DataFrame({"sex": np.where(inside, "female", "male")})
    groups = form_groups(frame, ["sex"], False, 100)
    found = {f.group: f.estimate.error for f in measure_regression(CONFIG, groups, errors)}
    expected = stats.bootstrap(
        (errors[inside], errors[~inside]),
        lambda a, b, axis: np.log(a.mean(axis=axis) / b.mean(axis=axis)),
        n_resamples=4_000, method="percentile", rng=3,
    )  # fmt: skip
    assert found["sex=female"] == pytest.approx(expected.standard_error, rel=0.06)


def test_group_without_any_error_proves_its_ratio() -> None:
    inside = np.arange(400) < 200
    frame = pd.DataFrame({"sex": np.where(inside, "female", "male")})
    figures = measure_regression(CONFIG, form_groups(frame, ["sex"], False, 100), 1.0 * ~inside)
    found = {figure.group: figure.estimate for figure in figures}
    assert found["sex=female"].interval == (0.0, 0.0)
    assert found["sex=male"].interval is None


@pytest.mark.parametrize(("others", "judged"), [(100, True), (99, False)])
def test_a_group_of_exactly_the_least_rows_is_judged(others: int, judged: bool) -> None:
    frame = pd.DataFrame({"sex": ["female"] * others + ["male"] * 400})
    errors = np.random.default_rng(8).exponential(1.0, len(frame))
    groups = form_groups(frame, ["sex"], False, 50)
    config = CONFIG.model_copy(update={"minimum_group": 100})
    found = measure_regression(config, groups, errors)
    assert {figure.group: figure.judged for figure in found}["sex=female"] is judged
