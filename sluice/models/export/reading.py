"""Reading of a fitted column transformer: its parameters as an export's preprocessing."""

import warnings
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import ColumnKind, DataConfig
from sluice.errors import ServingImpossible
from sluice.models.export.preprocessing import Column, NumberColumn, Preprocessing, TextColumn
from sluice.models.export.wide_reading import WIDE_STEPS, find_step, read_ngrams
from sluice.models.features import NGRAMS, list_features

NUMERIC: dict[str, tuple[ColumnKind, ...]] = {
    "number": ("integer", "number"),
    "boolean": ("boolean",),
    "timestamp": ("timestamp",),
}
"""Steps of a column transformer that make numbers, and the kinds of their columns."""


def read_preprocessing(features: Any, data: DataConfig, estimator: Any = None) -> Preprocessing:
    """Return the parameters of a fitted column transformer, of tree or linear models.

    Text codes are the transformer's own output for every value that it knows, for one that it does
    not know, and for a null. N-grams are multiplied with their coefficients in the `estimator`,
    which then reads them as `fold_ngrams` says.

    Raises:
        ServingImpossible: there are n-grams, and the estimator has no coefficients.
    """
    columns: list[Column] = []
    for name, transformer, names in features.transformers_:
        if name == "text":
            columns += _read_texts(transformer, list(names))
        elif name == NGRAMS:
            own = read_coefficients(estimator)[:, features.output_indices_[name]]
            columns += read_ngrams(transformer, list(names), own)
        elif name in WIDE_STEPS:
            columns += WIDE_STEPS[name](transformer, list(names), data)
        elif name in NUMERIC:
            named = {kind: list_features(data, kind) for kind in NUMERIC[name]}
            kinds = {column: kind for kind, group in named.items() for column in group}
            columns += _read_numbers(transformer, list(names), kinds)
    return Preprocessing(tuple(columns))


def read_coefficients(estimator: Any) -> NDArray[np.float64]:
    """Return the coefficients of a fitted linear model, shape (targets, columns).

    Raises:
        ServingImpossible: it has none.
    """
    if not hasattr(estimator, "coef_"):
        raise ServingImpossible(
            f"no ONNX export of n-grams for {type(estimator).__name__}, which has no coefficients"
        )
    return np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))


def fold_ngrams(features: Any, estimator: Any) -> Any:
    """Return the estimator that reads n-grams which were multiplied with their coefficients.

    Each block of n-grams is one number for each target, whose coefficient is 1; everything else
    stays. Without n-grams it is the estimator itself.

    Raises:
        ServingImpossible: there are n-grams, and the estimator has no coefficients.
    """
    steps = {name: step for name, step, _ in features.transformers_}
    if NGRAMS not in steps:
        return estimator
    known = read_coefficients(estimator)
    place = features.output_indices_[NGRAMS]
    blocks = [np.eye(len(known)) for runs in steps[NGRAMS].runs_ if runs is not None]
    folded = copy(estimator)
    folded.coef_ = np.concatenate(
        [known[:, : place.start], *blocks, known[:, place.stop :]], axis=1
    )
    return folded


def _read_numbers(
    transformer: Any, names: list[str], kinds: dict[str, ColumnKind]
) -> list[NumberColumn]:
    imputer, scaler = (
        find_step(transformer, "SimpleImputer"),
        find_step(transformer, "StandardScaler"),
    )
    if imputer is None or scaler is None:
        return [NumberColumn(name, kinds[name]) for name in names]
    figures = zip(imputer.statistics_, scaler.mean_, scaler.scale_, strict=True)
    return [
        NumberColumn(name, kinds[name], float(fill), float(mean), float(scale))
        for name, (fill, mean, scale) in zip(names, figures, strict=True)
    ]


def _read_texts(encoder: Any, names: list[str]) -> list[TextColumn]:
    """Return the text columns: the encoder's output for each value of each column in turn."""
    known = [[value for value in found if isinstance(value, str)] for found in encoder.categories_]
    columns, start = [], 0
    for at, name in enumerate(names):
        values = [*known[at], _make_unknown(known[at]), _find_null(encoder.categories_[at])]
        numbers = _transform(encoder, names, at, values)
        one_hot = type(encoder).__name__ == "OneHotEncoder"
        width = _count_outputs(encoder, at, names) if one_hot else 0
        block = numbers[:, start : start + (width or 1)]
        start += width or 1
        codes = _find_ones(block) if one_hot else block[:, 0]
        found = dict(zip(known[at], codes[:-2].tolist(), strict=True))
        columns.append(TextColumn(name, found, float(codes[-2]), float(codes[-1]), width))
    return columns


def _transform(encoder: Any, names: list[str], at: int, values: list[Any]) -> NDArray[np.float64]:
    """Return the encoder's output for the values of one column; the others hold any value."""
    import pandas as pd

    fillers = {name: encoder.categories_[i][0] for i, name in enumerate(names)}
    frame = pd.DataFrame(
        {
            name: pd.Series(values if i == at else [fillers[name]] * len(values), dtype=object)
            for i, name in enumerate(names)
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the unknown value
        found = encoder.transform(frame)
    dense = found.toarray() if hasattr(found, "toarray") else found
    numbers: NDArray[np.float64] = np.asarray(dense, dtype=np.float64)
    return numbers


def _count_outputs(encoder: Any, at: int, names: list[str]) -> int:
    rare = encoder.infrequent_categories_[at]
    merged = len(rare) - 1 if rare is not None else 0
    return len(encoder.categories_[at]) - merged


def _find_ones(block: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(block.any(axis=1), block.argmax(axis=1), -1).astype(np.float64)


def _make_unknown(known: list[str]) -> str:
    """Return a text that is none of the known ones."""
    return max(known, key=len, default="") + "?"


def _find_null(categories: NDArray[Any]) -> Any:
    """Return the null value of the training rows; NaN where they had none."""
    return next((value for value in categories if not isinstance(value, str)), float("nan"))
