"""Influence functions against bootstrap draws: the same errors, bounds and verdicts."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.config.evaluation import EvaluationConfig, Slices
from sluice.config.model import Problem
from sluice.metrics import METRICS, list_metrics
from sluice.stats import variation
from sluice.stats.bootstrap import Resampling, bound_draws
from sluice.stats.comparison import measure_evaluation
from sluice.stats.holdout import Holdout, Predictions
from sluice.stats.variation import LARGE, Drawn, Influence, vary_figures

N = 1_500
PROBLEMS: tuple[Problem, ...] = ("binary", "multiclass", "regression")
METRIC_CASES = [(problem, name) for problem in PROBLEMS for name in list_metrics(problem)]


def build(problem: Problem, seed: int, n: int = N, places: int = 2) -> tuple[Any, Predictions]:
    """Return targets and a fair model's predictions; scores are rounded, so that some are tied."""
    random = np.random.default_rng(seed)
    if problem == "regression":
        y = random.normal(50, 10, n)
        return y, Predictions(y + random.normal(0, 6, n))
    if problem == "binary":
        y = (random.random(n) < 0.3).astype(int)
        scores = 1 / (1 + np.exp(-(1.5 * y - 1 + random.normal(size=n))))
        scores = scores.round(places)
        return y, Predictions((scores > 0.5).astype(int), scores)
    place = random.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    raw = np.exp(1.5 * np.eye(4)[place] + random.normal(size=(n, 4)))
    names = np.array(["a", "b", "c", "d"], dtype=object)
    scores = (raw / raw.sum(axis=1, keepdims=True)).round(places)
    return names[place], Predictions(names[scores.argmax(axis=1)], scores, tuple(names))


@pytest.mark.parametrize(("problem", "name"), METRIC_CASES)
def test_the_derivative_is_the_change_of_the_figure_by_a_row_s_weight(
    problem: Problem, name: str
) -> None:
    y, predictions = build(problem, 1, 400)
    statistic = METRICS[name].prepare[problem](y, predictions)
    influence, step = statistic.differentiate(), 1e-4
    for row in range(0, 400, 37):
        weights = np.ones((2, 400))
        weights[:, row] += [step, -step]
        up, down = statistic(weights)
        assert influence[row] == pytest.approx((up - down) / (2 * step), abs=1e-8, rel=1e-4)


@given(data=st.data(), seed=st.integers(0, 2**20))
@settings(max_examples=30, deadline=None)
def test_influence_sums_to_nothing_for_every_metric(data: st.DataObject, seed: int) -> None:
    """All weights doubled change no figure: Euler's relation for functions of degree 0."""
    problem, name = data.draw(st.sampled_from(METRIC_CASES))
    y, predictions = build(problem, seed, 300, places=data.draw(st.integers(1, 4)))
    influence = METRICS[name].prepare[problem](y, predictions).differentiate()
    assert abs(influence.sum()) < 1e-7 * max(1.0, np.abs(influence).sum())


@pytest.mark.parametrize(("problem", "name"), METRIC_CASES)
@pytest.mark.parametrize("grouped", [False, True])
def test_errors_and_bounds_are_those_of_the_draws(
    problem: Problem, name: str, grouped: bool
) -> None:
    y, predictions = build(problem, 3)
    groups = np.arange(N) // 4 if grouped else None
    statistic = METRICS[name].prepare[problem](y, predictions)
    resampling = Resampling(N, 3_000, 5, groups)
    value = float(statistic(np.ones((1, N)))[0])
    drawn = Drawn(resampling.apply([statistic])[0]).bound(value, N)
    influence = statistic.differentiate()
    sums = influence if groups is None else np.bincount(groups, influence)
    linear = Influence(sums).bound(value, N)
    assert linear.error is not None
    assert linear.error == pytest.approx(drawn.error, rel=0.06)
    assert linear.low == pytest.approx(drawn.low, abs=0.2 * linear.error)
    assert linear.high == pytest.approx(drawn.high, abs=0.2 * linear.error)


def test_the_error_of_the_auc_is_delong_s() -> None:
    y, predictions = build("binary", 4)
    scores = np.asarray(predictions.scores)
    ahead, behind = scores[y == 1], scores[y == 0]
    kernel = (ahead[:, None] > behind) + 0.5 * (ahead[:, None] == behind)
    structural = kernel.mean(axis=1).var() / len(ahead) + kernel.mean(axis=0).var() / len(behind)
    influence = METRICS["auc"].prepare["binary"](y, predictions).differentiate()
    assert Influence(influence).error == pytest.approx(np.sqrt(structural))


def test_bounds_follow_a_skewed_bootstrap() -> None:
    losses = np.random.default_rng(0).lognormal(0, 1.2, 1_000)
    influence = (losses - losses.mean()) / len(losses)
    linear = Influence(influence).bound(float(losses.mean()), 1_000)
    draws = [np.random.default_rng(seed).choice(losses, 1_000).mean() for seed in range(4_000)]
    drawn = bound_draws(float(losses.mean()), np.array(draws), 1_000)
    assert linear.error is not None
    assert linear.low == pytest.approx(drawn.low, abs=0.1 * linear.error)
    assert linear.high == pytest.approx(drawn.high, abs=0.1 * linear.error)


def test_equal_figures_differ_by_nothing() -> None:
    y, predictions = build("binary", 1)
    statistic = METRICS["auc"].prepare["binary"](y, predictions)
    one = Influence(statistic.differentiate())
    found = one.minus(one).bound(0.0, N)
    assert (found.low, found.value, found.high, found.error) == (0.0, 0.0, 0.0, 0.0)
    assert one.minus(one).effective_units == float("inf")


def test_an_undefined_figure_has_no_bounds() -> None:
    assert Influence(np.full(3, np.nan)).bound(0.5, 3).interval is None
    assert Influence(np.zeros(3)).bound(float("nan"), 3).value is None


def test_up_to_the_limit_figures_are_drawn_and_above_it_they_are_not() -> None:
    for n, kind in ((LARGE, Drawn), (LARGE + 1, Influence)):
        y, predictions = build("regression", 1, n)
        statistic = METRICS["mae"].prepare["regression"](y, predictions)
        [[found]] = vary_figures(Resampling(n, 2, 1), [[statistic]])
        assert isinstance(found, kind)


def test_a_figure_that_few_rows_decide_is_drawn_at_any_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(variation, "LARGE", 1_000)
    y, errors = np.zeros(N), np.full(N, 0.1)
    errors[:3] = 1_000.0
    heavy = METRICS["rmse"].prepare["regression"](y, Predictions(errors))
    light = METRICS["mae"].prepare["regression"](y, Predictions(np.linspace(0, 1, N)))
    found = vary_figures(Resampling(N, 300, 1), [[heavy], [light]])
    assert [type(family[0]) for family in found] == [Drawn, Influence]


def test_a_small_slice_that_few_rows_decide_is_drawn_on_its_own_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    y, first = build("binary", 1)
    labels = first.labels.copy()
    labels[:4] = 1 - labels[:4]
    second = Predictions(labels, first.scores)
    frame = pd.DataFrame({"part": np.where(np.arange(N) < 400, "small", "rest")})
    config = EvaluationConfig(primary="accuracy", slices=Slices(columns=("part",)), draws=2_000)
    holdout = Holdout(y, frame)
    drawn = measure_evaluation(config, "binary", 1, holdout, second, first, training=y)
    monkeypatch.setattr(variation, "LARGE", 1_000)
    found = measure_evaluation(config, "binary", 1, holdout, second, first, training=y)
    pairs = [(one.difference, other.difference) for one, other in zip(
        drawn.slices, found.slices, strict=True
    ) if one.value == "small"]  # fmt: skip
    [(here, there)] = pairs
    assert here is not None
    assert there is not None
    assert there.value == here.value
    assert there.error == pytest.approx(here.error, rel=0.1)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("group", ["", "home"])
def test_whole_evidence_agrees_with_the_draws(
    problem: Problem, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics, differences, slices and baseline: within .2 standard errors at 1,500 rows."""
    y, champion = build(problem, 7)
    _, candidate = build(problem, 7, places=1)
    if problem == "regression":
        candidate = Predictions(champion.labels + np.random.default_rng(1).normal(0, 2, N))
    frame = pd.DataFrame({"home": np.arange(N) // 3, "sex": np.arange(N) % 2})
    primary = {"binary": "auc", "multiclass": "macro_f1", "regression": "rmse"}[problem]
    config = EvaluationConfig(
        primary=primary, slices=Slices(columns=("sex",)), draws=3_000, group=group
    )
    arguments = (config, problem, 1, Holdout(y, frame), candidate, champion)
    drawn = measure_evaluation(*arguments, training=y)
    monkeypatch.setattr(variation, "LARGE", 1_000)
    linear = measure_evaluation(*arguments, training=y)
    figures = [
        (one, other)
        for here, there in zip(drawn.metrics, linear.metrics, strict=True)
        for one, other in ((here.candidate, there.candidate), (here.difference, there.difference))
    ]
    figures += [
        (one.difference, other.difference)
        for one, other in zip(drawn.slices, linear.slices, strict=True)
    ]
    assert drawn.baseline is not None
    assert linear.baseline is not None
    figures.append((drawn.baseline.gain, linear.baseline.gain))
    for one, other in figures:
        assert one is not None
        assert other is not None
        assert other.value == one.value
        if one.interval is None or other.interval is None:
            assert one.interval == other.interval
            continue
        assert other.interval == pytest.approx(one.interval, abs=0.2 * (one.error or 0) + 1e-12)


@pytest.mark.parametrize(("name", "exact"), [("log_loss", True), ("f1", True), ("auc", False)])
def test_few_groups_are_drawn_whole_at_any_size(
    name: str, exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty days of uneven size, some better than others: too few for a normal interval."""
    monkeypatch.setattr(variation, "LARGE", 1_000)
    random = np.random.default_rng(2)
    y, predictions = build("binary", 2)
    day = np.sort(random.choice(40, N, p=random.dirichlet(np.ones(40))))
    day = np.unique(day, return_inverse=True)[1]
    statistic = METRICS[name].prepare["binary"](y, predictions)
    resampling = Resampling(N, 2_000, 3, day)
    [[found]] = vary_figures(resampling, [[statistic]])
    assert isinstance(found, Drawn)
    drawn = resampling.apply([statistic])[0]
    if exact:
        assert found.draws == pytest.approx(drawn)
    else:
        assert np.corrcoef(found.draws, drawn)[0, 1] > 0.98
        assert found.error == pytest.approx(drawn.std(ddof=1), rel=0.1)
