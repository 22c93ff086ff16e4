"""The choice of how a new service's features become numbers, each with its reason."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig, Encoding
from sluice.config.model import Problem
from sluice.errors import TrainingImpossible
from sluice.metrics import METRICS
from sluice.profile.facts.columns import ColumnFacts
from sluice.profile.trial.candidates import PLAIN
from sluice.profile.trial.floors import list_floored
from sluice.profile.trial.rows import score_model

if TYPE_CHECKING:
    import pandas as pd

MANY_VALUES = 50
"""Different values of a text from which the target's mean by value is learned."""
NAMES_SHARE = 0.5
"""Share of different values above which a text is either sentences or no feature."""
WORDS = 3.0
"""Words of a text, on average, from which its words are learned."""
CALENDAR_GAIN = 0.01
"""Least gain from the calendar of the time column, as a share of the primary metric."""
SAMPLED = 5000
"""Filled cells in which words are counted."""


@dataclass(frozen=True)
class EncodingChoice:
    """An encoding that is not the usual one of a column's kind, and the reason for it."""

    encoding: Encoding
    reason: str


def choose_encodings(
    columns: tuple[ColumnFacts, ...], frame: "pd.DataFrame"
) -> dict[str, EncodingChoice]:
    """Return the encodings of columns, if they become features, that differ from the usual ones.

    `frame` may be a sample of the file; the facts of `columns` are those of all its rows.
    """
    found = {
        column.name: _choose_encoding(column, frame[column.name])
        for column in columns
        if column.name in frame.columns
    }
    return {name: choice for name, choice in found.items() if choice}


def _choose_encoding(column: ColumnFacts, values: "pd.Series[Any]") -> EncodingChoice | None:
    if column.kind == "timestamp":
        return EncodingChoice("date", "its month, weekday, hour and age, not only seconds")
    if column.dated:
        return EncodingChoice("date", "ISO dates: their month, weekday and age")
    if column.kind != "text" or column.levels:
        return None
    known = column.rows - column.nulls
    is_named = column.distinct > NAMES_SHARE * known
    words = count_words(values)
    if words >= WORDS and is_named:
        return EncodingChoice("text", f"{words:.0f} words on average: their words, not the whole")
    if column.distinct > MANY_VALUES and not is_named:
        reason = f"{column.distinct:,} different values: the target's mean by value"
        return EncodingChoice("target", reason)
    return None


def count_words(values: "pd.Series[Any]") -> float:
    """Return the mean number of words of a column's filled cells; 0 where there is none."""
    filled = values.dropna()
    if filled.empty:
        return 0.0
    sample = filled.iloc[:: max(1, len(filled) // SAMPLED)]
    return float(sum(len(str(value).split()) for value in sample)) / len(sample)


def try_calendar(
    data: DataConfig, problem: Problem, training: "pd.DataFrame", test: NDArray[np.bool_]
) -> tuple[DataConfig, EncodingChoice | None]:
    """Return the columns with the calendar of the service's time as a feature, if that helps.

    A plain boosting is fitted with and without it on the rows that `test` does not mark. Only what
    comes back is taken of the time: later rows have other years, but the same hours and weekdays.
    """
    time = data.time
    if not time or time in data.features or not _has_moments(data, training):
        return data, None
    encodings: dict[str, Encoding] = {**data.encodings, time: "calendar"}
    wider = data.model_copy(update={"features": (*data.features, time), "encodings": encodings})
    metric = METRICS[list_floored(problem, training[data.target])[0]]
    try:
        without, with_it = (
            score_model(PLAIN, one, problem, training, test)[metric.name] for one in (data, wider)
        )
    except TrainingImpossible:
        return data, None
    least = max(CALENDAR_GAIN, 0.5 / math.sqrt(max(int(test.sum()), 1)))  # two standard errors
    if not metric.sign * (with_it - without) > least * abs(without):
        return data, None
    reason = f"the time's month, weekday and hour: {metric.name} {with_it:.3g}, not {without:.3g}"
    return wider, EncodingChoice("calendar", reason)


def _has_moments(data: DataConfig, training: "pd.DataFrame") -> bool:
    """Return whether the time column holds moments or ISO dates, not numbers such as years."""
    if data.columns[data.time] == "timestamp":
        return True
    if data.columns[data.time] != "text":
        return False
    from sluice.models.encoders.dates import read_moments

    return bool(np.isfinite(read_moments(training[data.time])).all())
