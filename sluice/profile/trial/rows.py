"""The rows of the trial, a test of its limits on older rows, and the cost of what is left out.

Held-out rows are never used: a limit that is chosen on them is fitted to them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig, SplitConfig
from sluice.config.model import ModelConfig, Problem
from sluice.data.split import split_rows
from sluice.errors import TrainingImpossible
from sluice.metrics import METRICS
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.profile.facts.sizes import has_classes
from sluice.profile.trial.floors import MOST_ROWS, TEST_SHARE, ModelTrial, list_judged
from sluice.stats.holdout import mark_class, mark_predictions

if TYPE_CHECKING:
    import pandas as pd

LEAST_OLDER = 200
"""Fewest older rows on which the trial's limits are tried."""
LEAST_LEARNED = 3
"""Fewest rows of a class outside the trial's test: two thirds of them train the second model."""
MOST_COSTS = 8
"""Most columns whose cost is measured one by one."""


@dataclass(frozen=True)
class ColumnCost:
    """The primary metric without and with columns that are left out."""

    columns: tuple[str, ...]
    metric: str
    without: float
    with_them: float


def draw_test(
    training: "pd.DataFrame", data: DataConfig, problem: Problem, split: SplitConfig
) -> NDArray[np.bool_]:
    """Return a mask of the rows that the trial's models are evaluated on, shape (n,).

    They are drawn as the held-out rows are: the newest rows where the service is split by time,
    whole groups where it has groups, else a share of each class; also where the newest rows lack
    a class.

    Raises:
        TrainingImpossible: the training rows cannot be split again.
    """
    if split.by == "time" or split.group:
        inner = split.model_copy(update={"holdout": TEST_SHARE, "seed": split.seed + 1})
        drawn_alike = split_rows(training, data, inner).holdout
        if has_classes(training[data.target], drawn_alike, problem, LEAST_LEARNED):
            return drawn_alike
    plain = training.reset_index(drop=True)
    drawn = plain if problem == "regression" else plain.groupby(data.target)
    test = np.zeros(len(plain), dtype=np.bool_)
    test[drawn.sample(frac=TEST_SHARE, random_state=1).index] = True
    return test


def score_model(
    model: ModelConfig,
    data: DataConfig,
    problem: Problem,
    rows: "pd.DataFrame",
    test: NDArray[np.bool_],
) -> dict[str, float]:
    """Fit a model on the other rows, and return its metrics on the test rows.

    At most 30,000 rows are used.

    Raises:
        TrainingImpossible: the model cannot be trained on the rows.
    """
    if len(rows) > MOST_ROWS:
        chosen = np.sort(np.random.default_rng(0).choice(len(rows), MOST_ROWS, replace=False))
        rows, test = rows.iloc[chosen], test[chosen]
    train, held = rows[~test], rows[test]
    fitted = fit_model(problem, model, data, train, train[data.target])
    predictions, y = predict(fitted, held, data, problem), held[data.target].to_numpy()
    if problem == "binary":
        predictions, y = mark_predictions(predictions, data.positive), mark_class(y, data.positive)
    return {name: METRICS[name].compute(problem, y, predictions) for name in list_judged(problem)}


def try_older_rows(
    model: ModelConfig,
    data: DataConfig,
    problem: Problem,
    rows: "pd.DataFrame",
    test: NDArray[np.bool_],
    split: SplitConfig,
) -> dict[str, tuple[float, float]] | None:
    """Return each metric on the older rows' own newest part: the model's, and a constant's.

    It shows what limits the same rule would have written earlier; the newest rows then tell whether
    they hold. None where rows have no order in time, or are too few.
    """
    older = rows[~test]
    if split.by != "time" or len(older) < LEAST_OLDER:
        return None
    try:
        inner = draw_test(older, data, problem, split)
        found = score_model(model, data, problem, older, inner)
    except TrainingImpossible:
        return None
    trivial = score_constant(data, problem, older, inner)
    return {name: (found[name], trivial[name]) for name in found}


def score_constant(
    data: DataConfig, problem: Problem, rows: "pd.DataFrame", test: NDArray[np.bool_]
) -> dict[str, float]:
    """Return the metrics of an answer without features: the shares of the classes, or the mean."""
    from sluice.profile.trial.floors import predict_constant

    train, held = rows[~test], rows[test]
    y = held[data.target].to_numpy()
    if problem == "binary":
        y = mark_class(y, data.positive)
    return {
        name: METRICS[name].compute(problem, y, predict_constant(data, problem, train, held, name))
        for name in list_judged(problem)
    }


def measure_costs(
    trial: ModelTrial,
    data: DataConfig,
    problem: Problem,
    rows: "pd.DataFrame",
    test: NDArray[np.bool_],
    left_out: tuple[str, ...],
) -> tuple[ColumnCost, ...]:
    """Return what leaving columns out costs: the trial's model without and with each of them.

    More than eight columns are measured together.
    """
    if not left_out:
        return ()
    model, metric = trial.model, trial.primary.metric
    without = score_model(model, data, problem, rows, test)[metric]
    together = len(left_out) > MOST_COSTS
    sets = [left_out] if together else [(name,) for name in left_out]
    found = []
    for names in sets:
        wider = data.model_copy(update={"features": (*data.features, *names)})
        try:
            value = score_model(model, wider, problem, rows, test)[metric]
        except TrainingImpossible:
            continue
        found.append(ColumnCost(names, metric, without, value))
    return tuple(found)
