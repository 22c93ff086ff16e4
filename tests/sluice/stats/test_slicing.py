import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sluice.config.evaluation import Slices
from sluice.metrics import METRICS
from sluice.stats.bootstrap import Resampling
from sluice.stats.holdout import Predictions
from sluice.stats.slicing import SliceFigure, compare_slices, find_slices
from sluice.stats.variation import vary_figures


def compare(effects: list[float], rows: int = 300, draws: int = 1000) -> dict[str, SliceFigure]:
    """Return slices of regression rows in which the candidate's errors grow by the effects."""
    random = np.random.default_rng(0)
    names = np.repeat([f"s{index:02}" for index in range(len(effects))], rows)
    champion = random.normal(0, 0.3, len(names))
    candidate = champion + np.sign(champion) * np.repeat(effects, rows)
    candidate += random.normal(0, 0.05, len(names))
    y, metric = np.zeros(len(names)), METRICS["mae"]
    slices = find_slices(Slices(columns=("s",)), pd.DataFrame({"s": names}))
    models = (Predictions(candidate), Predictions(champion))
    pairs = [[one.restrict(metric, "regression", y, m) for m in models] for one in slices]
    values = np.array([float(one(np.ones((1, len(y))))[0]) for pair in pairs for one in pair])
    drawn = vary_figures(Resampling(len(y), draws, 1), pairs)
    found = compare_slices(slices, metric, values, drawn, margin=0.05)
    return {figure.value: figure for figure in found}


def high(figure: SliceFigure) -> float:
    assert figure.difference is not None
    assert figure.difference.high is not None
    return figure.difference.high


def test_slices_are_the_values_of_each_column() -> None:
    frame = pd.DataFrame({"sex": ["f"] * 30 + ["m"] * 20 + [None] * 5})
    found = find_slices(Slices(columns=("sex",), minimum=20), frame)
    assert [(one.value, len(one.rows), one.judged) for one in found] == [
        ("f", 30, True),
        ("m", 20, True),
        ("(missing)", 5, False),
    ]


def test_slice_that_falls_lies_wholly_beyond_the_margin() -> None:
    figures = compare([0.12, 0.0, 0.0])
    assert high(figures["s00"]) < -0.05
    assert high(figures["s01"]) > -0.05


def test_slice_value_is_the_metric_on_its_rows_alone() -> None:
    figure = compare([0.0, 0.0])["s00"]
    random = np.random.default_rng(0).normal(0, 0.3, 600)
    assert figure.champion == pytest.approx(np.abs(random[:300]).mean())


def test_levels_are_those_of_holm() -> None:
    levels = [figure.level for figure in compare([0.12, 0.12, 0.0, 0.0]).values()]
    assert sorted(level for level in levels if level) == pytest.approx(
        [0.05 / 4, 0.05 / 3, 0.05 / 2, 0.05 / 2]
    )


def test_many_slices_are_bounded_by_the_normal_tail() -> None:
    figures = compare([0.0] * 30, rows=200, draws=400)
    figure = figures["s03"]
    assert figure.difference is not None
    assert figure.difference.value is not None
    reach = stats.norm.ppf(1 - 0.05 / 30) * (figure.difference.error or 0)
    assert high(figure) == pytest.approx(figure.difference.value + reach)


def test_slice_of_one_class_is_listed_without_a_figure() -> None:
    y = np.r_[np.zeros(300, dtype=int), np.tile([0, 1], 150)]
    frame = pd.DataFrame({"s": ["one"] * 300 + ["both"] * 300})
    slices = find_slices(Slices(columns=("s",)), frame)
    scores = np.random.default_rng(0).random(600)
    predictions = Predictions((scores > 0.5).astype(int), scores)
    metric = METRICS["auc"]
    pairs = [[one.restrict(metric, "binary", y, predictions)] * 2 for one in slices]
    values = np.array([float(one(np.ones((1, 600)))[0]) for pair in pairs for one in pair])
    varied = vary_figures(Resampling(600, 200, 1), pairs)
    found = compare_slices(slices, metric, values, varied, 0.05)
    figures = {figure.value: figure.difference for figure in found}
    assert figures["one"] is None
    assert figures["both"] is not None
