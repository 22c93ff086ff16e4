"""Reading of the fitted encoders of columns that become several numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig
from sluice.models.export.wide_columns import DateColumn, MeanColumn, Scaling, WordsColumn

Wide = MeanColumn | WordsColumn | DateColumn


def find_step(transformer: Any, kind: str) -> Any:
    """Find a step of a pipeline, or of a pipeline in it, by its class; None where there is none."""
    for _, step in getattr(transformer, "steps", ()):
        found = step if type(step).__name__ == kind else find_step(step, kind)
        if found is not None:
            return found
    return None


def read_means(transformer: Any, names: list[str], data: DataConfig) -> list[Wide]:
    """Return the columns of a fitted TargetEncoder: the means that it learned for each value."""
    encoder = find_step(transformer, "TargetEncoder") or transformer
    several = encoder.target_type_ == "multiclass"
    targets = len(encoder.classes_) if several else 1
    usual = tuple(np.atleast_1d(np.asarray(encoder.target_mean_, dtype=np.float64)).tolist())
    columns: list[Wide] = []
    for at, name in enumerate(names):
        known = encoder.categories_[at]
        found = encoder.encodings_[at * targets : (at + 1) * targets]
        rows = zip(known.tolist(), np.column_stack(found).tolist(), strict=True)
        means: dict[str, tuple[float, ...]] = {}
        null = usual
        for value, numbers in rows:
            if isinstance(value, str):
                means[value] = tuple(numbers)
            else:
                null = tuple(numbers)
        scaling = _read_scaling(transformer, at * targets, targets)
        columns.append(MeanColumn(name, means, usual, null, scaling))
    return columns


def read_words(transformer: Any, names: list[str], data: DataConfig) -> list[Wide]:
    """Return the columns of a fitted TextEncoder."""
    encoder = find_step(transformer, "TextEncoder") or transformer
    columns: list[Wide] = []
    start = 0
    for name, words, directions in zip(names, encoder.words_, encoder.directions_, strict=True):
        terms: dict[str, int] = {}
        weights, sides = np.zeros(0), np.zeros((0, 1))
        if words is not None:
            terms = {term: int(place) for term, place in words.vocabulary_.items()}
            weights, sides = np.asarray(words.idf_), np.asarray(directions.components_).T
        scaling = _read_scaling(transformer, start, sides.shape[1])
        columns.append(WordsColumn(name, terms, weights, np.ascontiguousarray(sides), scaling))
        start += sides.shape[1]
    return columns


def read_ngrams(encoder: Any, names: list[str], coefficients: NDArray[np.float64]) -> list[Wide]:
    """Return the columns of a fitted NgramEncoder, each already times its coefficients.

    `coefficients` has shape (targets, columns of the encoder). So a text becomes one number for
    each target instead of thousands.
    """
    columns: list[Wide] = []
    start = 0
    for name, runs in zip(names, encoder.runs_, strict=True):
        if runs is None:
            continue
        terms = {term: int(place) for term, place in runs.vocabulary_.items()}
        own = np.ascontiguousarray(coefficients[:, start : start + len(terms)].T)
        weights = np.asarray(runs.idf_)
        columns.append(WordsColumn(name, terms, weights, own, letters=runs.ngram_range))
        start += len(terms)
    return columns


def read_dates(transformer: Any, names: list[str], data: DataConfig) -> list[Wide]:
    """Return the columns of a fitted DateEncoder."""
    encoder = find_step(transformer, "DateEncoder") or transformer
    columns: list[Wide] = []
    start = 0
    for name, newest in zip(encoder.list_columns(), encoder.newest_.tolist(), strict=True):
        time = encoder.time
        column = DateColumn(
            name,
            data.columns[name],
            encoder.encoding,
            newest,
            time,
            data.columns[time] if time else "timestamp",
        )
        scaling = _read_scaling(transformer, start, column.outputs)
        columns.append(DateColumn(**{**vars(column), "scaling": scaling}))
        start += column.outputs
    return columns


def _read_scaling(transformer: Any, start: int, numbers: int) -> Scaling | None:
    imputer, scaler = (
        find_step(transformer, "SimpleImputer"),
        find_step(transformer, "StandardScaler"),
    )
    if imputer is None or scaler is None:
        return None
    own = slice(start, start + numbers)
    figures = (imputer.statistics_, scaler.mean_, scaler.scale_)
    fill, mean, scale = (tuple(map(float, figure[own])) for figure in figures)
    return Scaling(fill, mean, scale)


WIDE_STEPS: dict[str, Callable[[Any, list[str], DataConfig], list[Wide]]] = {
    "target": read_means,
    "words": read_words,
    "calendar": read_dates,
    "date": read_dates,
}
"""Steps of a column transformer whose columns become several numbers, and what reads them."""
