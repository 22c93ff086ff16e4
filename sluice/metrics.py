"""The metrics that a service can be evaluated by: a function and an entry in `METRICS` each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.model import Problem
from sluice.config.service import ServiceConfig
from sluice.errors import ConfigInvalid
from sluice.stats.holdout import Predictions
from sluice.stats.ranking import (
    Floats,
    Ranking,
    Totals,
    divide,
    prepare_auc,
    prepare_average_precision,
)

Target = NDArray[Any]
Prepare = Callable[[Target, Predictions], Totals | Ranking]
"""Takes the target, shape (n,), and predictions for the same rows; returns a statistic."""


@dataclass(frozen=True)
class Metric:
    """An evaluation metric of one or more kinds of problem.

    `prepare` sorts and counts once, so that thousands of weightings are cheap. For a binary
    problem the target and the labels are 1 and 0. A figure that the rows cannot define is NaN.
    """

    name: str
    prepare: dict[Problem, Prepare]
    greater_is_better: bool = True
    undefined: str = ""
    """Why rows can leave it without a figure; empty where a class is missing in them."""
    advice: str = "hold out rows of every class"
    """What to do where it is judged and has no figure."""

    @property
    def sign(self) -> float:
        """1 where more is better, else -1: `sign * difference > 0` is an improvement."""
        return 1.0 if self.greater_is_better else -1.0

    def compute(self, problem: Problem, y: Target, predictions: Predictions) -> float:
        """Return the metric over all rows, each with weight 1; NaN where it is undefined."""
        if len(y) == 0:
            return float("nan")
        return float(self.prepare[problem](y, predictions)(np.ones((1, len(y))))[0])


def list_metrics(problem: Problem) -> tuple[str, ...]:
    """Return the names of a problem's metrics, in the order of `METRICS`."""
    return tuple(name for name, metric in METRICS.items() if problem in metric.prepare)


def check_metrics(config: ServiceConfig) -> None:
    """Check that a configuration's limits fit its kind of problem.

    Raises:
        ConfigInvalid: `evaluation.primary` or a key of `evaluation.floors` is not a metric of the
            problem; calibration has limits though the problem is not binary; a multiclass service
            with sensitive columns names no favourable class.
    """
    allowed = list_metrics(config.problem)
    named = {"evaluation.primary": config.evaluation.primary}
    named |= {f"evaluation.floors.{name}": name for name in config.evaluation.floors}
    for key, name in named.items():
        if name not in allowed:
            raise ConfigInvalid(
                f"service '{config.service}': {key}: '{name}' is not a metric of {config.problem} "
                f"problems; allowed: {', '.join(allowed)}"
            )
    if config.evaluation.calibration and config.problem != "binary":
        raise ConfigInvalid(
            f"service '{config.service}': evaluation.calibration: only binary problems have it, "
            f"problem is {config.problem}; remove the section"
        )
    if config.problem == "multiclass" and config.bias.columns and config.bias.favourable is None:
        raise ConfigInvalid(
            f"service '{config.service}': bias.favourable: name the class of "
            f"'{config.data.target}' that is good for a person"
        )


def prepare_mean(losses: Floats) -> Totals:
    """Prepare the weighted mean of one value per row, shape (n,)."""
    columns = np.column_stack([losses, np.ones(len(losses))])
    return Totals(columns, lambda totals: divide(totals[:, 0], totals[:, 1]))


def _scores(predictions: Predictions) -> Floats:
    if predictions.scores is None:
        return np.full(len(predictions.labels), np.nan)
    return np.asarray(predictions.scores, dtype=np.float64)


def _accuracy(y: Target, predictions: Predictions) -> Totals | Ranking:
    return prepare_mean(np.asarray(predictions.labels == y, dtype=np.float64))


def _auc(y: Target, predictions: Predictions) -> Totals | Ranking:
    return prepare_auc(y == 1, _scores(predictions))


def _average_precision(y: Target, predictions: Predictions) -> Totals | Ranking:
    return prepare_average_precision(y == 1, _scores(predictions))


def _log_loss(y: Target, predictions: Predictions) -> Totals | Ranking:
    scores = _scores(predictions)
    return prepare_mean(_log_losses(np.where(y == 1, scores, 1.0 - scores)))


def _log_losses(likelihood: Floats) -> Floats:
    smallest = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(likelihood, smallest, 1.0 - smallest)))


def _brier(y: Target, predictions: Predictions) -> Totals | Ranking:
    return prepare_mean((_scores(predictions) - (y == 1)) ** 2)


def _confusion(y: Target, labels: Target) -> Floats:
    """Return indicators of true and false positives, false and true negatives, shape (n, 4)."""
    actual, predicted = y == 1, labels == 1
    cells = (actual & predicted, ~actual & predicted, actual & ~predicted, ~actual & ~predicted)
    return np.column_stack(cells).astype(np.float64)


def _from_confusion(formula: Callable[[Floats, Floats, Floats, Floats], Floats]) -> Prepare:
    def prepare(y: Target, predictions: Predictions) -> Totals | Ranking:
        def finish(totals: Floats) -> Floats:
            tp, fp, fn, tn = totals.T
            return np.where(tp + fn > 0, formula(tp, fp, fn, tn), np.nan)

        return Totals(_confusion(y, predictions.labels), finish)

    return prepare


def _precision(tp: Floats, fp: Floats, _fn: Floats, _tn: Floats) -> Floats:
    return divide(tp, tp + fp, otherwise=0.0)  # no predicted positive: 0, as in scikit-learn


def _recall(tp: Floats, _fp: Floats, fn: Floats, _tn: Floats) -> Floats:
    return divide(tp, tp + fn)


def _f1(tp: Floats, fp: Floats, fn: Floats, _tn: Floats) -> Floats:
    return divide(2 * tp, 2 * tp + fp + fn)


def _balanced_accuracy(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> Floats:
    return (divide(tp, tp + fn) + divide(tn, tn + fp)) / 2


def _encode(values: Target, classes: list[Any]) -> NDArray[np.int64]:
    places = {value: place for place, value in enumerate(classes)}
    return np.array([places.get(value, -1) for value in values.tolist()], dtype=np.int64)


def _list_classes(*values: Target) -> list[Any]:
    return list(dict.fromkeys(value for part in values for value in part.tolist()))


def _one_hot(values: Target, classes: list[Any]) -> Floats:
    return np.equal.outer(_encode(values, classes), np.arange(len(classes))).astype(np.float64)


def _mean_over_classes(figures: Floats) -> Floats:
    """Return the mean over axis 1 without NaN; NaN where every value is NaN."""
    known = ~np.isnan(figures)
    return divide(np.where(known, figures, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))


def _class_recall(y: Target, predictions: Predictions) -> Totals | Ranking:
    actual = _one_hot(y, _list_classes(y))
    right = actual * (predictions.labels == y)[:, None]

    def finish(totals: Floats) -> Floats:
        hits, sizes = np.split(totals, 2, axis=1)
        recalls = divide(hits, sizes)
        several = (~np.isnan(recalls)).sum(axis=1) > 1
        return np.where(several, _mean_over_classes(recalls), np.nan)

    return Totals(np.column_stack([right, actual]), finish)


def _macro_f1(y: Target, predictions: Predictions) -> Totals | Ranking:
    classes = _list_classes(y, predictions.labels)
    actual, predicted = _one_hot(y, classes), _one_hot(predictions.labels, classes)
    right = actual * predicted

    def finish(totals: Floats) -> Floats:
        hits, sizes = np.split(totals, 2, axis=1)
        return _mean_over_classes(divide(2 * hits, sizes))

    return Totals(np.column_stack([right, actual + predicted]), finish)


def _class_scores(predictions: Predictions, value: Any) -> Floats:
    """Return the class's probability per row; 0 for a class that was not in training."""
    known = list(predictions.classes)
    scores = _scores(predictions)
    if value not in known or scores.ndim != 2:
        return np.zeros(len(predictions.labels))
    return scores[:, known.index(value)]


def _class_log_loss(y: Target, predictions: Predictions) -> Totals | Ranking:
    classes = _list_classes(y)
    columns = np.column_stack([_class_scores(predictions, value) for value in classes])
    return prepare_mean(_log_losses(columns[np.arange(len(y)), _encode(y, classes)]))


def _auc_ovr(y: Target, predictions: Predictions) -> Totals | Ranking:
    areas = [prepare_auc(y == one, _class_scores(predictions, one)) for one in _list_classes(y)]

    def derive() -> Floats:
        return _mean_over_classes(np.column_stack([area.differentiate() for area in areas]))

    return Ranking(
        lambda weights: _mean_over_classes(np.column_stack([area(weights) for area in areas])),
        derive,
    )


def _errors(y: Target, predictions: Predictions) -> Floats:
    return np.asarray(predictions.labels, dtype=np.float64) - np.asarray(y, dtype=np.float64)


def _mae(y: Target, predictions: Predictions) -> Totals | Ranking:
    return prepare_mean(np.abs(_errors(y, predictions)))


def _rmse(y: Target, predictions: Predictions) -> Totals | Ranking:
    mean = prepare_mean(_errors(y, predictions) ** 2)
    return Totals(mean.columns, lambda totals: np.sqrt(mean.formula(totals)))


def _mape(y: Target, predictions: Predictions) -> Totals | Ranking:
    size = np.abs(np.asarray(y, dtype=np.float64))
    if not size.all():  # an error has no share of a target that is 0
        return prepare_mean(np.full(len(size), np.nan))
    return prepare_mean(np.abs(_errors(y, predictions)) / size)


def _r2(y: Target, predictions: Predictions) -> Totals | Ranking:
    centred = np.asarray(y, dtype=np.float64) - np.mean(np.asarray(y, dtype=np.float64))
    lost = _errors(y, predictions) ** 2
    columns = np.column_stack([lost, centred, centred**2, np.ones(len(lost))])

    def finish(totals: Floats) -> Floats:
        error, mean, square = (divide(totals[:, place], totals[:, 3]) for place in range(3))
        return 1.0 - divide(error, square - mean**2)

    return Totals(columns, finish)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("auc", {"binary": _auc}),
        Metric("average_precision", {"binary": _average_precision}),
        Metric("accuracy", {"binary": _accuracy, "multiclass": _accuracy}),
        Metric(
            "balanced_accuracy",
            {"binary": _from_confusion(_balanced_accuracy), "multiclass": _class_recall},
        ),
        Metric("precision", {"binary": _from_confusion(_precision)}),
        Metric("recall", {"binary": _from_confusion(_recall)}),
        Metric("f1", {"binary": _from_confusion(_f1)}),
        Metric("macro_f1", {"multiclass": _macro_f1}),
        Metric("auc_ovr", {"multiclass": _auc_ovr}),
        Metric("log_loss", {"binary": _log_loss, "multiclass": _class_log_loss}, False),
        Metric("brier", {"binary": _brier}, False),
        Metric("mae", {"regression": _mae}, False),
        Metric("rmse", {"regression": _rmse}, False),
        Metric(
            "r2",
            {"regression": _r2},
            undefined="all targets are equal, so there is no variance to explain",
            advice="hold out rows with different targets",
        ),
        Metric(
            "mape",
            {"regression": _mape},
            False,
            undefined="a target is 0, and no error is a share of 0",
            advice="judge by mae or rmse, which every target has",
        ),
    )
}
