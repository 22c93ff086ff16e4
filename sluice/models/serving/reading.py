"""The parameters of a fitted column transformer, read off for serving."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import ColumnKind, DataConfig
from sluice.models.features import list_features
from sluice.models.serving.preprocessing import NumberColumn, Preprocessing, TextColumn

NUMERIC: dict[str, tuple[ColumnKind, ...]] = {
    "number": ("integer", "number"),
    "boolean": ("boolean",),
    "timestamp": ("timestamp",),
}


def read_preprocessing(features: Any, data: DataConfig) -> Preprocessing:
    """Read a fitted column transformer, of tree or linear models, as plain parameters.

    Text codes are what the transformer itself makes of every value that it knows, of one that it
    does not, and of a null.
    """
    columns: list[TextColumn | NumberColumn] = []
    for name, transformer, names in features.transformers_:
        if name == "text":
            columns += _read_texts(transformer, list(names))
        elif name in NUMERIC:
            named = {kind: list_features(data, kind) for kind in NUMERIC[name]}
            kinds = {column: kind for kind, group in named.items() for column in group}
            columns += _read_numbers(transformer, list(names), kinds)
    return Preprocessing(tuple(columns))


def _read_numbers(
    transformer: Any, names: list[str], kinds: dict[str, ColumnKind]
) -> list[NumberColumn]:
    imputer, scaler = (
        _find_step(transformer, "SimpleImputer"),
        _find_step(transformer, "StandardScaler"),
    )
    if imputer is None or scaler is None:
        return [NumberColumn(name, kinds[name]) for name in names]
    figures = zip(imputer.statistics_, scaler.mean_, scaler.scale_, strict=True)
    return [
        NumberColumn(name, kinds[name], float(fill), float(mean), float(scale))
        for name, (fill, mean, scale) in zip(names, figures, strict=True)
    ]


def _find_step(transformer: Any, kind: str) -> Any:
    """Find a step of a pipeline, or of a pipeline in it, by its class; None where there is none."""
    for _, step in getattr(transformer, "steps", ()):
        found = step if type(step).__name__ == kind else _find_step(step, kind)
        if found is not None:
            return found
    return None


def _read_texts(encoder: Any, names: list[str]) -> list[TextColumn]:
    """Ask the encoder for each value of each column; the other columns hold any value meanwhile."""
    known = [[value for value in found if isinstance(value, str)] for found in encoder.categories_]
    columns, start = [], 0
    for at, name in enumerate(names):
        asked = [*known[at], _make_unknown(known[at]), _find_null(encoder.categories_[at])]
        numbers = _transform(encoder, names, at, asked)
        spread = type(encoder).__name__ == "OneHotEncoder"
        width = _count_outputs(encoder, at, names) if spread else 0
        block = numbers[:, start : start + (width or 1)]
        start += width or 1
        codes = _find_ones(block) if spread else block[:, 0]
        found = dict(zip(known[at], codes[:-2].tolist(), strict=True))
        columns.append(TextColumn(name, found, float(codes[-2]), float(codes[-1]), width))
    return columns


def _transform(encoder: Any, names: list[str], at: int, asked: list[Any]) -> NDArray[np.float64]:
    import pandas as pd

    fillers = {name: encoder.categories_[i][0] for i, name in enumerate(names)}
    frame = pd.DataFrame(
        {
            name: pd.Series(asked if i == at else [fillers[name]] * len(asked), dtype=object)
            for i, name in enumerate(names)
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that it does not know: that is the question
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
    """Make a text that is none of the known ones."""
    return max(known, key=len, default="") + "?"


def _find_null(categories: NDArray[Any]) -> Any:
    """Give the null as training saw it; NaN where it saw none."""
    return next((value for value in categories if not isinstance(value, str)), float("nan"))
