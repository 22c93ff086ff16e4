"""The choice of a model and its size, on training rows only: each is tried on rows set aside."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig, SplitConfig
from sluice.config.model import HistGradientBoosting, Linear, ModelConfig, Problem
from sluice.data.folds import assign_folds
from sluice.data.split import split_rows
from sluice.errors import TrainingImpossible
from sluice.metrics import Metric
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.profile.facts.sizes import has_classes
from sluice.profile.trial.boosting import BoostedRows, TrialRows
from sluice.stats.holdout import mark_class, mark_predictions

if TYPE_CHECKING:
    import pandas as pd

FOLDS = {4000: 5, 12_000: 3}
"""Rows below which models are compared on so many folds: one part would be too small to tell."""
MANY_CLASSES, FEWER_FOLDS = 8, 3
"""Classes from which there are fewer folds: each fit costs trees for each class, and every row is
compared on all the same."""
SET_ASIDE = 0.3
"""Share of more rows on which models are compared."""
NEWEST = (0.3, 0.2, 0.1, 0.0)
"""Shares of the newest rows between which lie the parts of few rows that are split by time."""
MOST_ROWS = 21_000
"""Most rows of the choice for one score a row; with many classes there are fewer, each class needs
trees of its own."""
LEAST_ROWS = 3000
FILLED = 10
"""Fewest filled cells of a feature in the rows that a model is fitted on; it refuses fewer."""
LEAST_MEMBERS = 3
"""Rows of a class with which it is in the choice: two to fit on, and one set aside."""
TAIL_ROWS, TAIL_SHARE = 0.01, 0.5
"""A target has a heavy tail where this share of the rows has more than that share of the squared
deviation from the mean. It is .08 for a normal distribution, .22 for an exponential one."""


@dataclass(frozen=True)
class Candidate:
    """A model that is tried.

    `most`: iterations that it may have; they end when the error does not fall further. 0: as many
    as the model has.
    """

    name: str
    model: ModelConfig
    most: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Tried:
    """A candidate with its number of iterations, and its figure of the primary metric."""

    candidate: Candidate
    model: ModelConfig
    figure: float


PLAIN = HistGradientBoosting(kind="hist_gradient_boosting")
"""scikit-learn's own defaults."""
SMALL = HistGradientBoosting(
    kind="hist_gradient_boosting", learning_rate=0.05, max_leaves=8, l2=1.0
)
CANDIDATES = (
    Candidate("linear", Linear(kind="linear")),
    Candidate("plain boosting", PLAIN),
    Candidate("small trees", SMALL, 800, "small trees with a penalty were best on rows set aside"),
    Candidate("longer boosting", PLAIN, 500, "later ones helped no more on rows set aside"),
)


def list_candidates(logarithm: bool) -> tuple[Candidate, ...]:
    """Return the models to try; `logarithm` adds those that learn the target's logarithm."""
    if not logarithm:
        return CANDIDATES
    found = [
        Candidate(
            f"{item.name} on the logarithm",
            item.model.model_copy(update={"target_transform": "log"}),
            item.most,
            item.reason,
        )
        for item in CANDIDATES
        if item.model.kind == "hist_gradient_boosting"
    ]
    return (*CANDIDATES, *found)


def measure_tail(y: NDArray[Any]) -> float:
    """Return the share of the squared deviation from the mean that 1 % of the rows have, 0 to 1."""
    squares = np.sort((np.asarray(y, dtype=np.float64) - np.mean(y)) ** 2)
    total = float(squares.sum())
    most = max(1, round(TAIL_ROWS * len(squares)))
    return float(squares[-most:].sum()) / total if total > 0 else 0.0


def try_models(
    frame: "pd.DataFrame",
    data: DataConfig,
    problem: Problem,
    metric: Metric,
    logarithm: bool = False,
    split: SplitConfig | None = None,
) -> tuple[Tried, ...]:
    """Return the candidates with their figures, best first.

    Below 4,000 rows a figure is the mean of five folds, below 12,000 of three; else it is that of
    30 % of the rows. With `split`, rows are set aside as the service's held-out rows are: whole
    groups, or the newest rows, whose neighbours in time the model has not seen.

    Raises:
        TrainingImpossible: no model can be trained on the rows.
    """
    outputs = frame[data.target].nunique() if problem == "multiclass" else 1
    fewer = max(1, outputs // 2)
    most = max(LEAST_ROWS, MOST_ROWS // fewer)
    rows = frame.sample(most, random_state=2) if len(frame) > most else frame
    if problem != "regression":
        members = rows.groupby(data.target)[data.target].transform("size")
        rows = rows[members >= LEAST_MEMBERS]
    candidates = [
        candidate
        for candidate in list_candidates(logarithm)
        # A longer boosting that is no longer than the plain one is left out.
        if not (candidate.model == PLAIN and 0 < candidate.most // fewer <= PLAIN.iterations)
    ]
    longest = {
        candidate.model: max(candidate.most // fewer, PLAIN.iterations)
        for candidate in candidates
        if candidate.most and candidate.model.kind == "hist_gradient_boosting"
    }
    parts = [
        TrialRows(problem, data, fitted, aside)
        for fitted, aside in set_aside(rows, data, problem, split)
    ]
    boosted = [BoostedRows(part, longest) for part in parts]
    tried = []
    for candidate in candidates:
        found = [
            _try_once(candidate, part, fits, metric)
            for part, fits in zip(parts, boosted, strict=True)
        ]
        model = candidate.model
        if candidate.most:
            used = max(1, round(float(np.mean([steps for steps, _ in found]))))
            model = model.model_copy(update={"iterations": used})
        tried.append(Tried(candidate, model, float(np.mean([figure for _, figure in found]))))
    return tuple(sorted(tried, key=lambda item: -metric.sign * item.figure))


def set_aside(
    rows: "pd.DataFrame", data: DataConfig, problem: Problem, split: SplitConfig | None
) -> Iterator[tuple["pd.DataFrame", "pd.DataFrame"]]:
    """Yield rows to fit on and rows to compare on, once or for each fold.

    They are drawn as `split` draws held-out rows: whole groups, or the newest rows. Without it, or
    where a part would lack a class or a column, each part has the same share of each class.
    """
    for fitted, aside in _draw_alike(rows, data, problem, split) or _draw(rows, data, problem):
        yield rows[fitted], rows[aside]


def _draw_alike(
    rows: "pd.DataFrame", data: DataConfig, problem: Problem, split: SplitConfig | None
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return masks of both parts, drawn as the service's split draws; none if that is at random.

    None either where a part would lack a class, or the values of a column that only newer rows
    have.
    """
    if split is None or not (split.group or split.by == "time"):
        return []
    folds = count_folds(rows, data, problem)
    try:
        if split.by == "time":
            found = _draw_newest(rows, data, split, NEWEST if folds else (SET_ASIDE, 0.0))
        elif folds:
            drawn = split.model_copy(update={"folds": folds, "seed": split.seed + 2})
            numbers = assign_folds(rows, data, drawn).numbers
            found = [(numbers != fold, numbers == fold) for fold in range(folds)]
        else:
            drawn = split.model_copy(update={"holdout": SET_ASIDE, "seed": split.seed + 2})
            aside = split_rows(rows, data, drawn).holdout
            found = [(~aside, aside)]
    except TrainingImpossible:
        return []
    y = rows[data.target]
    complete = all(
        aside.any()
        and has_classes(y[fitted | aside], aside[fitted | aside], problem, 2)
        and int(rows.loc[fitted, list(data.features)].notna().sum().min()) >= FILLED
        for fitted, aside in found
    )
    return found if complete else []


def count_folds(rows: "pd.DataFrame", data: DataConfig, problem: Problem) -> int:
    """Return on how many folds models are compared; 0: on one part of the rows."""
    folds = next((count for most, count in FOLDS.items() if len(rows) < most), 0)
    many = problem == "multiclass" and rows[data.target].nunique() >= MANY_CLASSES
    return min(folds, FEWER_FOLDS) if many else folds


def _draw_newest(
    rows: "pd.DataFrame", data: DataConfig, split: SplitConfig, shares: tuple[float, ...]
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return parts between shares of the newest rows, each with all rows that are older."""
    none = np.zeros(len(rows), dtype=np.bool_)
    newest = [
        split_rows(rows, data, split.model_copy(update={"holdout": share})).holdout
        if share
        else none
        for share in shares
    ]
    return [(~longer, longer & ~shorter) for longer, shorter in pairwise(newest)]


def _draw(
    rows: "pd.DataFrame", data: DataConfig, problem: Problem
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return masks of both parts, drawn at random with the same share of each class."""
    from sklearn.model_selection import (
        KFold,
        ShuffleSplit,
        StratifiedKFold,
        StratifiedShuffleSplit,
    )

    regression = problem == "regression"
    parts = count_folds(rows, data, problem)
    if parts:
        members = len(rows) if regression else int(rows[data.target].value_counts().min())
        parts = min(parts, members)
        folds = KFold if regression else StratifiedKFold
        splits: Any = folds(parts, shuffle=True, random_state=2)
    else:
        shares = ShuffleSplit if regression else StratifiedShuffleSplit
        splits = shares(1, test_size=SET_ASIDE, random_state=2)
    for _, places in splits.split(rows, rows[data.target]):
        aside = np.zeros(len(rows), dtype=np.bool_)
        aside[places] = True
        yield ~aside, aside


def _try_once(
    candidate: Candidate, rows: TrialRows, boosted: BoostedRows, metric: Metric
) -> tuple[int, float]:
    """Fit a candidate on rows; return its iterations, and its figure on the rows set aside."""
    data, problem, steps = rows.data, rows.problem, 0
    if candidate.model.kind != "hist_gradient_boosting":
        fitted = fit_model(problem, candidate.model, data, rows.fitted, rows.fitted[data.target])
        predictions = predict(fitted, rows.aside, data, problem)
    elif candidate.most:
        steps, predictions = boosted.predict_best(candidate.model)
    else:
        predictions = boosted.predict_whole(candidate.model)
    target = rows.aside[data.target].to_numpy()
    if problem == "binary":
        target = mark_class(target, data.positive)
        predictions = mark_predictions(predictions, data.positive)
    return steps, metric.compute(problem, np.asarray(target), predictions)
