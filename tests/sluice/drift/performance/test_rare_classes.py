"""Windows with few rows of a class: chance alone is no drop, and too few are not judged."""

import numpy as np
import pytest

from sluice.drift.performance.calibration import fit_calibration
from sluice.drift.performance.comparison import (
    PerformanceDrop,
    compare_estimates,
    compare_figures,
)
from sluice.drift.performance.estimation import estimate_classes
from sluice.drift.performance.figures import ScoredRows, measure_metric
from sluice.stats.holdout import Predictions

WINDOW = 500


def draw_rows(random: np.random.Generator, rows: int, rate: float, apart: float) -> ScoredRows:
    """Return rows with their true probabilities where classes are 1.2 deviations apart."""
    y = (random.random(rows) < rate).astype(int)
    x = random.normal(size=rows) + apart * y
    scores = 1.0 / (1.0 + np.exp(-(np.log(rate / (1.0 - rate)) + 1.2 * x - 0.72)))
    limit = np.quantile(scores, 1.0 - rate)
    return ScoredRows("binary", y, Predictions((scores > limit).astype(int), scores, (0, 1)))


def compare_windows(
    name: str, rate: float, windows: int, apart: float = 1.2
) -> list[PerformanceDrop]:
    random = np.random.default_rng(7)
    baseline = measure_metric(draw_rows(random, 20_000, rate, 1.2), name)
    figures = [measure_metric(draw_rows(random, WINDOW, rate, apart), name) for _ in range(windows)]
    return [compare_figures(baseline, one, 0.05, 0.001) for one in figures]


@pytest.mark.parametrize("rate", [0.005, 0.01, 0.02, 0.05])
@pytest.mark.parametrize("name", ["auc", "f1", "recall", "average_precision"])
def test_a_rare_class_without_a_change_is_no_drop(name: str, rate: float) -> None:
    assert not any(one.dropped for one in compare_windows(name, rate, 100))


@pytest.mark.parametrize("name", ["auc", "f1", "precision", "recall"])
@pytest.mark.parametrize("rate", [0.005, 0.02])
def test_a_rare_class_without_a_change_is_no_estimated_drop(name: str, rate: float) -> None:
    dropped = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        before = draw_rows(random, 5_000, rate, 1.2)
        now = [draw_rows(random, WINDOW, rate, 1.2) for _ in range(3)]
        assert before.predictions.scores is not None
        curves = fit_calibration(before.y, before.predictions.scores, (0, 1))
        baseline, *windows = (
            next(
                one
                for one in estimate_classes("binary", curves, rows.predictions)
                if one.name == name
            )
            for rows in (before, *now)
        )
        dropped += [compare_estimates(baseline, one, 0.05, 0.001).dropped for one in windows]
    assert not any(dropped)


def test_too_few_rows_of_a_class_are_not_judged_and_shown() -> None:
    found = compare_windows("auc", 0.005, 20)
    assert [one.dropped for one in found] == [None] * 20
    assert any(one.value is not None for one in found)
    assert all("10 needed" in one.note or one.value is None for one in found)


def test_a_real_drop_of_a_rare_class_is_found() -> None:
    assert all(one.dropped for one in compare_windows("auc", 0.1, 10, apart=0.0))


def test_few_rows_of_one_class_of_several_are_named() -> None:
    y = np.repeat([0, 1, 2], [300, 195, 5])
    scores = np.full((500, 3), 1.0 / 3.0)
    rows = ScoredRows("multiclass", y, Predictions(y, scores, (0, 1, 2)))
    assert measure_metric(rows, "auc_ovr").note.startswith("5 rows of the class 2, 10 needed")
    assert measure_metric(rows, "accuracy").note == ""
