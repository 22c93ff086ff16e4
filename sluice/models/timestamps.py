"""Timestamps as numbers: the module's and the class's names are part of saved models."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import validate_data


class TimestampEncoder(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Converts each timestamp to seconds since 1970 (UTC); a null becomes NaN."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> "TimestampEncoder":
        """Learn the names of the columns; nothing else is learned."""
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Return an array of shape (n, columns), in seconds."""
        validate_data(self, X, skip_check_array=True, reset=False)
        columns = [_count_seconds(X[name]) for name in X.columns]
        return np.column_stack(columns)


def _count_seconds(values: "pd.Series[Any]") -> NDArray[np.float64]:
    moments = pd.to_datetime(values, utc=True).to_numpy(dtype="datetime64[us]")
    seconds = moments.astype(np.int64) / 1e6
    return np.where(np.isnat(moments), np.nan, seconds)
