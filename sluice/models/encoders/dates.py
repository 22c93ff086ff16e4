"""Moments as numbers of a calendar: the module's and the class's names are part of saved models."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import validate_data

from sluice.models.calendar import NAMES, read_moment, split_moments


class DateEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Converts timestamps, or texts with ISO dates, to the numbers of `encoding`.

    Ages are counted in days to the row's value of the column `time`; where that is empty, or null
    in the row, to the newest moment of the training rows: never to the time of the prediction.
    """

    def __init__(self, encoding: str = "date", time: str = "") -> None:
        self.encoding = encoding
        self.time = time

    def fit(self, X: pd.DataFrame, y: Any = None) -> "DateEncoder":
        """Learn each column's newest moment."""
        validate_data(self, X, skip_check_array=True)
        moments = [read_moments(X[name]) for name in self.list_columns()]
        self.newest_ = np.array(
            [np.nanmax(found) if np.isfinite(found).any() else 0.0 for found in moments]
        )
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Return an array of shape (n, columns times numbers); a null's numbers are NaN."""
        validate_data(self, X, skip_check_array=True, reset=False)
        now = read_moments(X[self.time]) if self.time else np.full(len(X), np.nan)
        blocks = []
        for name, newest in zip(self.list_columns(), self.newest_, strict=True):
            reference = np.where(np.isnan(now), newest, now)
            blocks.append(split_moments(read_moments(X[name]), self.encoding, reference))
        return np.concatenate(blocks, axis=1)

    def list_columns(self) -> list[str]:
        """Return the columns that are encoded: all but `time`."""
        return [name for name in self.feature_names_in_.tolist() if name != self.time]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the numbers, such as `hired_month`."""
        parts = NAMES[self.encoding]
        named = [f"{name}_{part}" for name in self.list_columns() for part in parts]
        return np.array(named, dtype=object)


def read_moments(values: "pd.Series[Any]") -> NDArray[np.float64]:
    """Return seconds since 1970 (UTC), shape (n,), of timestamps or of ISO texts; NaN for nulls."""
    if pd.api.types.is_datetime64_any_dtype(values):
        moments = pd.to_datetime(values, utc=True).to_numpy(dtype="datetime64[us]")
        return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)
    codes, known = pd.factorize(values.to_numpy(dtype=object))
    read = np.array([*map(read_moment, known), np.nan])
    return np.asarray(read[codes])
