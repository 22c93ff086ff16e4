"""A regressor of a model's absolute errors, as tables of trees in a JSON-able document.

It is fitted on held-out rows, whose errors are known, and predicts the error of each live row from
the features and the prediction; the mean is the estimated mean absolute error (direct loss
estimation, DLE, as in NannyML). The trees are kept as plain numbers: nothing is executed when they
are read, numpy is enough to use them, and one file of the registry holds profile and model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import ColumnKind, DataConfig
from sluice.drift.performance.figures import Finite
from sluice.models.threads import limit_threads
from sluice.stats.ranking import Floats

if TYPE_CHECKING:
    from pandas import DataFrame

LEVELS = 255
"""Most levels of a text that are told apart: the most frequent ones."""
MOST_ROWS = 100_000
TREES, LEAVES, LEAST_LEAF = 60, 15, 30
LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class ErrorFeature:
    """A feature as a number: itself, its seconds, or the place of a text among its levels.

    `levels` ascend by their mean error; a text that is not among them is null.
    """

    name: str
    kind: ColumnKind
    levels: tuple[str, ...] = ()

    def read(self, values: Any) -> Floats:
        """Return a column as numbers, shape (n,); nulls are NaN."""
        if self.kind == "text":
            places = {level: float(place) for place, level in enumerate(self.levels)}
            texts = np.asarray(values, dtype=object).tolist()
            return np.array([places.get(value, np.nan) for value in texts], dtype=np.float64)
        if self.kind == "timestamp":
            return _read_seconds(values)
        numbers = np.asarray(values, dtype=object).tolist()
        return np.array([_read_number(value) for value in numbers], dtype=np.float64)


@dataclass(frozen=True)
class ErrorTree:
    """A tree, one entry a node; a node without a feature (-1) is a leaf.

    A row goes left where its number is at most the threshold; without a number, where `missing`
    says so.
    """

    feature: tuple[int, ...]
    threshold: tuple[Finite, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    missing: tuple[bool, ...]
    value: tuple[Finite, ...]

    def predict(self, numbers: Floats) -> Floats:
        """Return the value of each row's leaf; `numbers` has shape (n, features)."""
        feature, threshold = np.array(self.feature), np.array(self.threshold)
        left, right = np.array(self.left), np.array(self.right)
        missing, rows = np.array(self.missing), np.arange(len(numbers))
        nodes = np.zeros(len(numbers), dtype=np.int64)
        while True:
            inner = feature[nodes] >= 0
            if not inner.any():
                return np.asarray(np.array(self.value)[nodes], dtype=np.float64)
            at, place = rows[inner], nodes[inner]
            found = numbers[at, feature[place]]
            to_left = np.where(np.isnan(found), missing[place], found <= threshold[place])
            nodes[at] = np.where(to_left, left[place], right[place])


@dataclass(frozen=True)
class ErrorModel:
    """Trees that add up to a row's expected absolute error; fitted on `n` held-out rows.

    `spread` is the standard deviation of a row's real error around its prediction, from rows that
    the trees were not fitted on.
    """

    features: tuple[ErrorFeature, ...]
    base: Finite
    trees: tuple[ErrorTree, ...]
    spread: Finite
    n: int

    def predict(self, frame: "DataFrame | Mapping[str, Any]", predictions: NDArray[Any]) -> Floats:
        """Return the expected absolute error of each row, shape (n,), never below 0.

        Raises:
            KeyError: a feature is absent.
        """
        numbers = _read_numbers(self.features, frame, predictions)
        total = np.full(len(numbers), self.base)
        for tree in self.trees:
            total += tree.predict(numbers)
        return np.asarray(np.maximum(total, 0.0))


def fit_error_model(
    data: DataConfig, frame: "DataFrame", predictions: NDArray[Any], errors: Floats, seed: int = 0
) -> ErrorModel:
    """Fit the trees to the absolute errors of held-out rows, of at most 100,000 of them."""
    if len(errors) > MOST_ROWS:
        chosen = np.random.default_rng(seed).choice(len(errors), MOST_ROWS, replace=False)
        frame, predictions, errors = frame.iloc[chosen], predictions[chosen], errors[chosen]
    features = tuple(
        _describe_feature(name, data.columns[name], frame[name], errors) for name in data.features
    )
    numbers = _read_numbers(features, frame, predictions)
    fitted = _fit(numbers, errors, seed)
    return ErrorModel(
        features=features,
        base=float(np.ravel(fitted._baseline_prediction)[0]),
        trees=tuple(_read_tree(one[0].nodes) for one in fitted._predictors),
        spread=_measure_spread(numbers, errors, seed),
        n=len(errors),
    )


def _fit(numbers: Floats, errors: Floats, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=LEAST_LEAF,
        early_stopping=False,
        random_state=seed,
    )
    with limit_threads(len(numbers)):
        return model.fit(numbers, errors)


def _measure_spread(numbers: Floats, errors: Floats, seed: int) -> float:
    """Return the standard deviation of errors around predictions of the other half's trees."""
    half = np.random.default_rng(seed).permutation(len(errors)) % 2 == 0
    lost = np.empty(len(errors))
    for part in (half, ~half):
        with limit_threads(len(errors)):
            lost[~part] = errors[~part] - _fit(numbers[part], errors[part], seed).predict(
                numbers[~part]
            )
    return math.sqrt(float(np.mean(lost**2)))


def _describe_feature(name: str, kind: ColumnKind, values: Any, errors: Floats) -> ErrorFeature:
    if kind != "text":
        return ErrorFeature(name, kind)
    sums: dict[str, list[float]] = {}
    for value, error in zip(np.asarray(values, dtype=object).tolist(), errors, strict=True):
        if isinstance(value, str):
            entry = sums.setdefault(value, [0.0, 0.0])
            entry[0] += error
            entry[1] += 1.0
    frequent = sorted(sums, key=lambda level: (-sums[level][1], level))[:LEVELS]
    ordered = sorted(frequent, key=lambda level: (sums[level][0] / sums[level][1], level))
    return ErrorFeature(name, kind, tuple(ordered))


def _read_numbers(
    features: Sequence[ErrorFeature], frame: Any, predictions: NDArray[Any]
) -> Floats:
    columns = [feature.read(frame[feature.name]) for feature in features]
    return np.column_stack([*columns, np.asarray(predictions, dtype=np.float64)])


def _read_number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):  # None, and the null of pandas
        return math.nan


def _read_seconds(values: Any) -> Floats:
    """Return times as seconds since 1970; a time without a zone is UTC."""
    import pandas as pd

    times = pd.to_datetime(pd.Series(np.asarray(values, dtype=object)), utc=True)
    moments = times.to_numpy(dtype="datetime64[us]")
    seconds = moments.astype(np.int64) / 1e6
    return np.where(np.isnat(moments), np.nan, seconds)


def _read_tree(nodes: Any) -> ErrorTree:
    """Return a tree of scikit-learn's; a threshold without bound becomes the largest number."""
    is_leaf = nodes["is_leaf"].astype(bool)
    threshold = np.clip(nodes["num_threshold"], -LARGEST, LARGEST)
    return ErrorTree(
        feature=tuple(np.where(is_leaf, -1, nodes["feature_idx"]).tolist()),
        threshold=tuple(np.where(is_leaf, 0.0, threshold).tolist()),
        left=tuple(nodes["left"].tolist()),
        right=tuple(nodes["right"].tolist()),
        missing=tuple(nodes["missing_go_to_left"].astype(bool).tolist()),
        value=tuple(np.where(is_leaf, nodes["value"], 0.0).tolist()),
    )
