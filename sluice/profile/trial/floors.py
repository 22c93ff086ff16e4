"""A quick trial of models on part of the training rows, to choose floors and margins.

Held-out rows are never used: a limit that is chosen on them is fitted to them.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig, SplitConfig
from sluice.config.model import ModelConfig, Problem
from sluice.metrics import METRICS
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.profile.trial.candidates import (
    MANY_CLASSES,
    TAIL_SHARE,
    Tried,
    measure_tail,
    try_models,
)
from sluice.stats.bootstrap import Estimate, Resampling, bound_draws
from sluice.stats.calibration import measure_gap, measure_slope
from sluice.stats.holdout import Predictions, mark_class, mark_predictions

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 30_000
"""Most rows of a trial; more would take minutes and hardly change a figure."""
DRAWS = 400
TEST_SHARE = 0.3
"""Share of the trial's rows that the models are evaluated on."""
SECOND_SHARE = 2 / 3
"""Share of the trial's training rows of the second model: a bootstrap leaves out a third."""
FLOORED: dict[Problem, tuple[str, ...]] = {
    "binary": ("auc", "log_loss"),
    "multiclass": ("accuracy", "macro_f1", "log_loss"),
    "regression": ("rmse", "r2"),
}
"""Metrics that a new service may have floors for; the first is the primary one. For a regression
it is the error that the models minimise: on a skewed target a model of means may have a larger
absolute error than the median.
"""
ROBUST: tuple[str, ...] = ("mae",)
"""Metrics of a regression whose target has a heavy tail: a squared error would be that of its few
largest rows."""

ONE_VALUE = 0.5
"""Share of one value above which a target's median is this value, and the answer that repeats it
has a smaller absolute error than honest predictions of the mean. A squared error comes first then.
"""
MAJORITY = 0.8
"""Share of one class among several above which accuracy hardly tells a model from the answer that
names this class each time. The log loss then comes first."""


def list_floored(problem: Problem, target: "pd.Series[Any]") -> tuple[str, ...]:
    """Return the metrics that rows with this target may have floors for, the primary one first."""
    names = FLOORED[problem]
    if problem == "regression":
        heavy = measure_tail(target.to_numpy()) > TAIL_SHARE
        return ROBUST if heavy and find_majority(target) <= ONE_VALUE else names
    if problem == "multiclass" and find_majority(target) > MAJORITY:
        return ("log_loss", *(name for name in names if name != "log_loss"))
    return names


def find_majority(target: "pd.Series[Any]") -> float:
    """Return the share of the most frequent value, 0 to 1."""
    return float(target.value_counts(normalize=True).iloc[0])


def list_judged(problem: Problem) -> tuple[str, ...]:
    """Return every metric that a trial of this problem may have limits for."""
    return (*FLOORED[problem], *ROBUST) if problem == "regression" else FLOORED[problem]


@dataclass(frozen=True)
class TrialFigure:
    """One metric in the trial: the model's figure, and that of a prediction without features."""

    metric: str
    model: Estimate
    trivial: float

    @property
    def gain(self) -> float:
        """How much better the model is than the trivial prediction, in the metric's unit."""
        return METRICS[self.metric].sign * ((self.model.value or 0.0) - self.trivial)


@dataclass(frozen=True)
class ModelTrial:
    """The result of the trial.

    `spread` is the standard deviation of one row's difference between two equal models. `rows`
    counts the rows used, `other` describes the models that were worse. `gap` and `slope` are the
    calibration of a binary model. `reasons` says why an option of the model is not its default, by
    option, and why the primary metric is not the usual one, by metric.
    """

    model: ModelConfig
    other: str
    rows: int
    figures: tuple[TrialFigure, ...]
    spread: float
    gap: Estimate | None = None
    slope: Estimate | None = None
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def primary(self) -> TrialFigure:
        """The figure of the primary metric."""
        return self.figures[0]


@dataclass(frozen=True, eq=False)
class _TrialSplit:
    problem: Problem
    data: DataConfig
    training: "pd.DataFrame"
    test: "pd.DataFrame"

    @property
    def y(self) -> NDArray[Any]:
        values = self.test[self.data.target].to_numpy()
        if self.problem == "binary":
            return mark_class(values, self.data.positive)
        return np.asarray(values)

    def fit_and_predict(self, model: ModelConfig, frame: "pd.DataFrame") -> Predictions:
        """Fit a model on rows and return predictions for the test rows, 1 for positive."""
        fitted = fit_model(self.problem, model, self.data, frame, frame[self.data.target])
        predictions = predict(fitted, self.test, self.data, self.problem)
        if self.problem == "binary":
            return mark_predictions(predictions, self.data.positive)
        return predictions


def run_trial(
    frame: "pd.DataFrame",
    data: DataConfig,
    problem: Problem,
    test_rows: NDArray[np.bool_] | None = None,
    drawn_by: SplitConfig | None = None,
) -> ModelTrial:
    """Try models of several kinds and sizes on part of the rows, and measure the best on the rest.

    At most 30,000 of the rows are used, fewer with many classes. `test_rows`, shape (n,), marks the
    rows to evaluate on, such as the newest; without it a random share of each class is drawn. The
    model is chosen without the rows that it is measured on, by rows set aside as `drawn_by`, the
    service's split, draws them.

    Raises:
        TrainingImpossible: no model can be trained on the rows.
    """
    rows = frame.reset_index(drop=True)
    classes = rows[data.target].nunique() if problem == "multiclass" else 1
    most = MOST_ROWS // max(1, classes // MANY_CLASSES)
    rows = rows.sample(most, random_state=0) if len(rows) > most else rows
    if test_rows is None:
        test = _draw_share(rows, data, problem, TEST_SHARE)
    else:
        test = rows[test_rows[rows.index]]
    split = _TrialSplit(problem, data, rows.drop(test.index), test)
    target = split.training[data.target]
    names = list_floored(problem, target)
    logarithm = names == ROBUST and bool(target.min() >= 0)
    best, *others = try_models(
        split.training, data, problem, METRICS[names[0]], logarithm, drawn_by
    )
    predictions = split.fit_and_predict(best.model, split.training)
    part = _draw_share(split.training, data, problem, SECOND_SHARE)
    second = split.fit_and_predict(best.model, part)
    figures, spread = _measure(split, names, predictions, second)
    y, binary = split.y, problem == "binary" and predictions.scores is not None
    scores = np.asarray(predictions.scores) if binary else np.empty(0)
    return ModelTrial(
        model=best.model,
        other=_describe_others(best, others),
        rows=len(rows),
        figures=figures,
        spread=spread,
        gap=measure_gap(y, scores, None) if binary else None,
        slope=measure_slope(y, scores, None) if binary else None,
        reasons=_give_reasons(best, names, target),
    )


def _describe_others(best: Tried, others: list[Tried]) -> str:
    shown = [f"{item.candidate.name} {item.figure:.3g}" for item in others]
    return f"chosen with {best.figure:.3g} on rows set aside, where {', '.join(shown)}"


def _give_reasons(best: Tried, names: tuple[str, ...], target: "pd.Series[Any]") -> dict[str, str]:
    """Return why options differ from their defaults, and why the metric is not the usual one."""
    reasons = {}
    for key in best.model.model_dump(exclude_defaults=True):
        if key not in ("kind", "target_transform"):
            reasons[key] = best.candidate.reason
    if "iterations" in reasons:
        reasons["iterations"] = "later ones helped no more on rows set aside"
    if names[0] == "log_loss":
        share, one = find_majority(target), target.value_counts().index[0]
        found = f"{share:.0%} of the rows are {one}"
        reasons["log_loss"] = f"{found}: accuracy hardly tells a model from this one answer"
    if names == ROBUST:
        tail = measure_tail(target.to_numpy())
        found = f"1 % of the rows have {tail:.0%} of the squared deviation"
        reasons["mae"] = f"{found}: a squared error would be theirs alone"
        reasons["target_transform"] = f"{found}; predictions are near the median, not the mean"
    elif names[0] == "rmse" and (share := find_majority(target)) > ONE_VALUE:
        one = target.value_counts().index[0]
        reasons["rmse"] = f"{share:.0%} of the rows are {one:g}: for mae this answer is the best"
    return reasons


def _draw_share(
    frame: "pd.DataFrame", data: DataConfig, problem: Problem, share: float
) -> "pd.DataFrame":
    """Return a random share of the rows, the same share of each class."""
    if problem == "regression":
        return frame.sample(frac=share, random_state=1)
    return frame.groupby(data.target).sample(frac=share, random_state=1)


def _measure(
    split: _TrialSplit, names: tuple[str, ...], predictions: Predictions, second: Predictions
) -> tuple[tuple[TrialFigure, ...], float]:
    """Return each metric's figure with bounds, and the spread of the primary difference."""
    problem, y = split.problem, split.y
    rows = (split.training, split.test)
    metrics = [METRICS[name] for name in names]
    prepared = [metric.prepare[problem](y, predictions) for metric in metrics]
    prepared.append(metrics[0].prepare[problem](y, second))
    draws = Resampling(len(y), DRAWS, seed=0).apply(prepared)
    figures = tuple(
        TrialFigure(
            metric.name,
            bound_draws(metric.compute(problem, y, predictions), draws[place], len(y)),
            metric.compute(problem, y, predict_constant(split.data, problem, *rows, metric.name)),
        )
        for place, metric in enumerate(metrics)
    )
    spread = float(np.nanstd(draws[0] - draws[-1], ddof=1)) * float(np.sqrt(len(y)))
    return figures, spread


def predict_constant(
    data: DataConfig,
    problem: Problem,
    training: "pd.DataFrame",
    test: "pd.DataFrame",
    metric: str = "",
) -> Predictions:
    """Return the predictions of a model without features: shares, the mean, or the median (mae)."""
    n, target = len(test), training[data.target]
    if problem == "regression":
        value = target.median() if metric == "mae" else target.mean()
        return Predictions(np.full(n, float(value)))
    shares = target.value_counts(normalize=True)
    if problem == "binary":
        rate = float(mark_class(target.to_numpy(), data.positive).mean())
        return Predictions(np.full(n, int(rate >= 0.5)), np.full(n, rate))
    labels = np.full(n, shares.index[0], dtype=test[data.target].to_numpy().dtype)
    classes = tuple(shares.index.tolist())
    return Predictions(labels, np.tile(shares.to_numpy(dtype=np.float64), (n, 1)), classes)
