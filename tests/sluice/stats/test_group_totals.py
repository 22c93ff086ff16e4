"""Standard errors of group ratios by the normal law of large samples, beside those of draws."""

from typing import Any

import numpy as np
import pytest

from sluice.config.bias import BiasConfig
from sluice.stats import group_totals
from sluice.stats.fairness import Group, measure_regression
from sluice.stats.group_totals import draw_group_totals

N = 4_000


def make(seed: int = 0) -> tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any]]]:
    random = np.random.default_rng(seed)
    member = random.integers(0, 20, N)
    return random.gamma(1.0, 3.0, N), [member < 1, member < 8, member % 2 == 0]


def test_normal_totals_have_the_means_and_covariances_of_the_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, groups = make()
    drawn = draw_group_totals(values, groups, 4_000, 1)
    monkeypatch.setattr(group_totals, "LARGE", 1_000)
    normal = draw_group_totals(values, groups, 4_000, 1)
    assert normal.shape == drawn.shape == (4, 2, 4_000)
    assert normal.mean(axis=2) == pytest.approx(drawn.mean(axis=2), rel=0.01)
    assert normal.std(axis=2) == pytest.approx(drawn.std(axis=2), rel=0.06, abs=1e-6)
    flat = [np.corrcoef(one[:3].reshape(6, -1)) for one in (drawn, normal)]
    assert flat[1] == pytest.approx(flat[0], abs=0.06)


def test_the_bias_gate_s_errors_are_the_same_at_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    values, marks = make(3)
    groups = [Group(f"g={at}", False, inside) for at, inside in enumerate(marks)]
    config = BiasConfig.model_validate({"sensitive": ["g"]})
    drawn = measure_regression(config, groups, values)
    monkeypatch.setattr(group_totals, "LARGE", 1_000)
    normal = measure_regression(config, groups, values)
    for one, other in zip(drawn, normal, strict=True):
        assert one.judged
        assert other.estimate.value == one.estimate.value
        assert other.estimate.error == pytest.approx(one.estimate.error, rel=0.06)


def test_no_group_draws_the_rows_alone() -> None:
    assert draw_group_totals(np.ones(10), [], 5, 0).shape == (1, 2, 5)
