import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import normal_power_het

from sluice.metrics import METRICS, list_metrics, prepare_mean
from sluice.stats.bootstrap import (
    Estimate,
    Resampling,
    bound_draws,
    count_needed_rows,
    number_groups,
    step_down,
)
from sluice.stats.holdout import Predictions

P_VALUES = st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=30)


def test_same_seed_draws_the_same_rows() -> None:
    first, second = (next(Resampling(50, 20, 3).draw_weights()) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_another_seed_draws_other_rows() -> None:
    first, second = (next(Resampling(50, 20, seed).draw_weights()) for seed in (3, 4))
    assert not np.array_equal(first, second)


def test_every_draw_holds_as_many_rows_as_there_are() -> None:
    weights = np.vstack(list(Resampling(3_000, 700, 0).draw_weights()))
    assert weights.shape == (700, 3_000)
    assert (weights.sum(axis=1) == 3_000).all()


def test_rows_of_a_group_are_drawn_together() -> None:
    groups = number_groups(["a", "b", "a", "c", "b"])
    weights = next(Resampling(5, 200, 0, groups).draw_weights())
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 4])
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_bounds_of_a_mean_agree_with_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=800)
    draws = Resampling(800, 4_000, 1).apply([prepare_mean(values)])[0]
    found = bound_draws(float(values.mean()), draws, 800)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=4_000, confidence_level=0.9, method="percentile", rng=2
    )
    assert found.interval == pytest.approx(expected.confidence_interval, abs=0.006)
    assert found.error == pytest.approx(expected.standard_error, rel=0.05)


def test_bounds_of_groups_agree_with_the_cluster_robust_error() -> None:
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(150), 6)
    values = random.normal(size=150)[groups] + 0.3 * random.normal(size=900)
    draws = Resampling(900, 4_000, 1, groups).apply([prepare_mean(values)])[0]
    by_group = np.array([values[groups == group].mean() for group in range(150)])
    assert draws.std() == pytest.approx(by_group.std(ddof=1) / np.sqrt(150), rel=0.06)


def test_undefined_value_has_no_bounds() -> None:
    assert bound_draws(float("nan"), np.ones(10), 5) == Estimate(None, None, None, 5)


def test_value_whose_draws_are_often_undefined_has_no_bounds() -> None:
    draws = np.where(np.arange(100) < 3, np.nan, 1.0)
    assert bound_draws(1.0, draws, 5).interval is None


def test_spread_is_the_deviation_of_one_row() -> None:
    assert Estimate(0.0, -1.0, 1.0, 400, 0.01).spread == pytest.approx(0.2)
    assert Estimate(0.0, -1.0, 1.0, 400).spread is None


def test_needed_rows_give_power_eighty() -> None:
    n = count_needed_rows(spread=0.18, margin=0.01)
    power = normal_power_het(0.01, n, 0.05, std_null=0.18, alternative="larger")
    assert power == pytest.approx(0.8, abs=0.001)


def test_needed_rows_are_the_published_ones() -> None:
    assert 1_550 < count_needed_rows(0.16, 0.01) < 1_600
    assert 2_200 < count_needed_rows(0.19, 0.01) < 2_250


@settings(max_examples=10, deadline=None)
@given(P_VALUES)
def test_step_down_rejects_what_statsmodels_rejects(p_values: list[float]) -> None:
    expected = multipletests(p_values, alpha=0.05, method="holm")[0]
    np.testing.assert_array_equal(step_down(p_values).rejected, expected)


@given(P_VALUES)
def test_step_down_rejects_exactly_what_lies_below_its_level(p_values: list[float]) -> None:
    tested = step_down(p_values)
    np.testing.assert_array_equal(tested.rejected, np.array(p_values) <= tested.levels)


def test_step_down_of_no_hypotheses_rejects_none() -> None:
    assert len(step_down([]).rejected) == 0


def test_statistics_drawn_together_are_those_drawn_alone() -> None:
    """The column totals of many statistics are one matrix product; each gets its own totals."""
    rng = np.random.default_rng(8)
    y, scores = rng.integers(0, 2, 300), rng.random(300).round(2)
    predictions = Predictions((scores > 0.5).astype(np.int64), scores, (0, 1))
    prepared = [METRICS[name].prepare["binary"](y, predictions) for name in list_metrics("binary")]
    resampling = Resampling(300, 50, 1)
    together = resampling.apply(prepared)
    alone = np.vstack([resampling.apply([statistic]) for statistic in prepared])
    direct = np.vstack(
        [
            np.concatenate([statistic(weights) for weights in resampling.draw_weights()])
            for statistic in prepared
        ]
    )
    assert together == pytest.approx(alone, abs=1e-14)
    assert together == pytest.approx(direct, abs=1e-14)
