"""A quick trial of models on part of the training rows, to choose floors and margins.

Held-out rows are never used: a limit that is chosen on them is fitted to them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig
from sluice.config.model import HistGradientBoosting, Linear, ModelConfig, Problem
from sluice.metrics import METRICS
from sluice.models.prediction import predict
from sluice.models.training import fit_model
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
    counts the rows used, `other` describes the model that was worse. `gap` and `slope` are the
    calibration of a binary model.
    """

    model: ModelConfig
    other: str
    rows: int
    figures: tuple[TrialFigure, ...]
    spread: float
    gap: Estimate | None = None
    slope: Estimate | None = None

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


def run_trial(frame: "pd.DataFrame", data: DataConfig, problem: Problem) -> ModelTrial:
    """Fit two kinds of model on part of the rows, evaluate them on the rest, keep the better.

    At most 30,000 of the rows are used; the split keeps each class's share.

    Raises:
        TrainingImpossible: no model can be trained on the rows.
    """
    rows = frame.sample(MOST_ROWS, random_state=0) if len(frame) > MOST_ROWS else frame
    test = _draw_share(rows, data, problem, TEST_SHARE)
    split = _TrialSplit(problem, data, rows.drop(test.index), test)
    primary = METRICS[FLOORED[problem][0]]
    y, scored = split.y, []
    for model in list_models(len(split.training)):
        predictions = split.fit_and_predict(model, split.training)
        scored.append((primary.sign * primary.compute(problem, y, predictions), model, predictions))
    (worse, *_), (_, model, predictions) = sorted(scored, key=lambda item: item[0])
    second = split.fit_and_predict(model, _draw_share(split.training, data, problem, SECOND_SHARE))
    figures, spread = _measure(split, predictions, second)
    binary = problem == "binary" and predictions.scores is not None
    scores = np.asarray(predictions.scores) if binary else np.empty(0)
    loser = next(item for _, item, _ in scored if item is not model)
    return ModelTrial(
        model=model,
        other=f"{loser.kind} reaches {primary.sign * worse:.3g}",
        rows=len(rows),
        figures=figures,
        spread=spread,
        gap=measure_gap(y, scores, None) if binary else None,
        slope=measure_slope(y, scores, None) if binary else None,
    )


def list_models(rows: int) -> tuple[ModelConfig, ...]:
    """Return the models to try on so many training rows; few rows get small trees."""
    if rows < 5000:
        trees = HistGradientBoosting(
            kind="hist_gradient_boosting", learning_rate=0.05, max_leaves=8
        )
    else:
        trees = HistGradientBoosting(kind="hist_gradient_boosting")
    return Linear(kind="linear"), trees


def _draw_share(
    frame: "pd.DataFrame", data: DataConfig, problem: Problem, share: float
) -> "pd.DataFrame":
    """Return a random share of the rows, the same share of each class."""
    if problem == "regression":
        return frame.sample(frac=share, random_state=1)
    return frame.groupby(data.target).sample(frac=share, random_state=1)


def _measure(
    split: _TrialSplit, predictions: Predictions, second: Predictions
) -> tuple[tuple[TrialFigure, ...], float]:
    """Return each metric's figure with bounds, and the spread of the primary difference."""
    problem, y = split.problem, split.y
    metrics = [METRICS[name] for name in FLOORED[problem]]
    prepared = [metric.prepare[problem](y, predictions) for metric in metrics]
    prepared.append(metrics[0].prepare[problem](y, second))
    draws = Resampling(len(y), DRAWS, seed=0).apply(prepared)
    trivial = _predict_trivially(split)
    figures = tuple(
        TrialFigure(
            metric.name,
            bound_draws(metric.compute(problem, y, predictions), draws[place], len(y)),
            metric.compute(problem, y, trivial),
        )
        for place, metric in enumerate(metrics)
    )
    spread = float(np.nanstd(draws[0] - draws[-1], ddof=1)) * float(np.sqrt(len(y)))
    return figures, spread


def _predict_trivially(split: _TrialSplit) -> Predictions:
    """Return the predictions of a model without features: shares, or the mean."""
    n = len(split.test)
    target = split.training[split.data.target]
    if split.problem == "regression":
        return Predictions(np.full(n, float(target.mean())))
    shares = target.value_counts(normalize=True)
    if split.problem == "binary":
        rate = float(mark_class(target.to_numpy(), split.data.positive).mean())
        return Predictions(np.full(n, int(rate >= 0.5)), np.full(n, rate))
    labels = np.full(n, shares.index[0], dtype=split.test[split.data.target].to_numpy().dtype)
    classes = tuple(shares.index.tolist())
    return Predictions(labels, np.tile(shares.to_numpy(dtype=np.float64), (n, 1)), classes)
