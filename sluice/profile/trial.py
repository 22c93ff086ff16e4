"""A quick trial of models on part of the training rows: what floors and margins can be.

Held-out rows are never looked at: whoever sets a limit by them has trained on them.
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

MOST = 30_000
"""Rows of a trial; more would take minutes and hardly move a figure."""
DRAWS = 400
JUDGING = 0.3
"""Share of the trial's rows that judge."""
FEWER = 2 / 3
"""Share of the teaching rows behind the second model: bootstraps leave out about a third."""
FLOORED: dict[Problem, tuple[str, ...]] = {
    "binary": ("auc", "log_loss"),
    "multiclass": ("accuracy", "macro_f1", "log_loss"),
    "regression": ("rmse", "r2"),
}
"""Metrics that a new service may be held to; the first is its primary one. For numbers it is what
the models minimise: on a skewed target a model of means may lose to the median in absolute error.
"""


@dataclass(frozen=True)
class TrialFigure:
    """One metric in the trial: the model's figure, and that of an answer without features."""

    metric: str
    model: Estimate
    trivial: float

    @property
    def gain(self) -> float:
        """How much better the model is than the trivial answer, in the metric's unit."""
        return METRICS[self.metric].sign * ((self.model.value or 0.0) - self.trivial)


@dataclass(frozen=True)
class ModelTrial:
    """What the trial found; `spread` is a row's share in the difference of two equal models.

    `rows` taught and judged. `gap` and `slope` are the calibration of a binary model.
    """

    model: ModelConfig
    other: str
    rows: int
    readings: tuple[TrialFigure, ...]
    spread: float
    gap: Estimate | None = None
    slope: Estimate | None = None

    @property
    def primary(self) -> TrialFigure:
        """The reading of the primary metric."""
        return self.readings[0]


@dataclass(frozen=True, eq=False)
class _TrialContest:
    problem: Problem
    data: DataConfig
    teach: "pd.DataFrame"
    judge: "pd.DataFrame"

    @property
    def y(self) -> NDArray[Any]:
        values = self.judge[self.data.target].to_numpy()
        if self.problem == "binary":
            return mark_class(values, self.data.positive)
        return np.asarray(values)

    def answer(self, model: ModelConfig, frame: "pd.DataFrame") -> Predictions:
        """Fit a model on rows and give its answers for those that judge, 1 for positive."""
        fitted = fit_model(self.problem, model, self.data, frame, frame[self.data.target])
        answers = predict(fitted, self.judge, self.data, self.problem)
        if self.problem == "binary":
            return mark_predictions(answers, self.data.positive)
        return answers


def run_trial(frame: "pd.DataFrame", data: DataConfig, problem: Problem) -> ModelTrial:
    """Fit two kinds of model on part of the rows, judge them on the rest, and keep the better.

    At most 30,000 of the rows are used; the division keeps each class's share.

    Raises:
        TrainingImpossible: the rows cannot teach a model.
    """
    rows = frame.sample(MOST, random_state=0) if len(frame) > MOST else frame
    judge = _draw(rows, data, problem, JUDGING)
    contest = _TrialContest(problem, data, rows.drop(judge.index), judge)
    primary = METRICS[FLOORED[problem][0]]
    y, answered = contest.y, []
    for model in list_models(len(contest.teach)):
        answers = contest.answer(model, contest.teach)
        answered.append((primary.sign * primary.compute(problem, y, answers), model, answers))
    (worse, *_), (_, model, answers) = sorted(answered, key=lambda item: item[0])
    second = contest.answer(model, _draw(contest.teach, data, problem, FEWER))
    readings, spread = _measure(contest, answers, second)
    binary = problem == "binary" and answers.scores is not None
    scores = np.asarray(answers.scores) if binary else np.empty(0)
    loser = next(item for _, item, _ in answered if item is not model)
    return ModelTrial(
        model=model,
        other=f"{loser.kind} reaches {primary.sign * worse:.3g}",
        rows=len(rows),
        readings=readings,
        spread=spread,
        gap=measure_gap(y, scores, None) if binary else None,
        slope=measure_slope(y, scores, None) if binary else None,
    )


def list_models(rows: int) -> tuple[ModelConfig, ...]:
    """Give the models that are tried on so many teaching rows; few rows get small trees."""
    if rows < 5000:
        trees = HistGradientBoosting(
            kind="hist_gradient_boosting", learning_rate=0.05, max_leaves=8
        )
    else:
        trees = HistGradientBoosting(kind="hist_gradient_boosting")
    return Linear(kind="linear"), trees


def _draw(
    frame: "pd.DataFrame", data: DataConfig, problem: Problem, share: float
) -> "pd.DataFrame":
    """Draw a share of the rows, of each class alike."""
    if problem == "regression":
        return frame.sample(frac=share, random_state=1)
    return frame.groupby(data.target).sample(frac=share, random_state=1)


def _measure(
    contest: _TrialContest, answers: Predictions, second: Predictions
) -> tuple[tuple[TrialFigure, ...], float]:
    """Give each metric's figure with its bounds, and the spread of the primary difference."""
    problem, y = contest.problem, contest.y
    metrics = [METRICS[name] for name in FLOORED[problem]]
    prepared = [metric.prepare[problem](y, answers) for metric in metrics]
    prepared.append(metrics[0].prepare[problem](y, second))
    draws = Resampling(len(y), DRAWS, seed=0).apply(prepared)
    trivial = _answer_trivially(contest)
    readings = tuple(
        TrialFigure(
            metric.name,
            bound_draws(metric.compute(problem, y, answers), draws[place], len(y)),
            metric.compute(problem, y, trivial),
        )
        for place, metric in enumerate(metrics)
    )
    spread = float(np.nanstd(draws[0] - draws[-1], ddof=1)) * float(np.sqrt(len(y)))
    return readings, spread


def _answer_trivially(contest: _TrialContest) -> Predictions:
    """Give the answers of a model that looks at no feature: shares, or the mean."""
    n = len(contest.judge)
    taught = contest.teach[contest.data.target]
    if contest.problem == "regression":
        return Predictions(np.full(n, float(taught.mean())))
    shares = taught.value_counts(normalize=True)
    if contest.problem == "binary":
        rate = float(mark_class(taught.to_numpy(), contest.data.positive).mean())
        return Predictions(np.full(n, int(rate >= 0.5)), np.full(n, rate))
    labels = np.full(n, shares.index[0], dtype=contest.judge[contest.data.target].to_numpy().dtype)
    classes = tuple(shares.index.tolist())
    return Predictions(labels, np.tile(shares.to_numpy(dtype=np.float64), (n, 1)), classes)
