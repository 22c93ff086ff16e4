"""The plain model: gradient boosting with scikit-learn's defaults, on encoded columns."""

from typing import TYPE_CHECKING, Any

import numpy as np

from sluice.config.service import ServiceConfig
from sluice.stats.holdout import Predictions, mark_class

if TYPE_CHECKING:
    import pandas as pd

MOST_LEVELS = 255
"""Most values of a category that gradient boosting takes; more become numbers, in their order."""


def fit_plain(
    training: "pd.DataFrame",
    held: "pd.DataFrame",
    columns: tuple[str, ...],
    config: ServiceConfig,
) -> Predictions:
    """Fit the plain model on columns of the training rows; return its predictions of the others."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    from sluice.models.threads import limit_threads

    X, held_X = encode_columns(training, held, columns, config)
    y = training[config.data.target].to_numpy()
    options: dict[str, Any] = {"categorical_features": "from_dtype", "random_state": 0}
    with limit_threads(len(X)):
        if config.problem == "regression":
            regressor = HistGradientBoostingRegressor(**options).fit(X, y.astype(np.float64))
            return Predictions(regressor.predict(held_X))
        if config.problem == "binary":
            y = mark_class(y, config.data.positive)
        classifier = HistGradientBoostingClassifier(**options).fit(X, y)
        scores, labels = classifier.predict_proba(held_X), classifier.predict(held_X)
    if config.problem == "binary":
        return Predictions(labels, scores[:, 1])
    return Predictions(labels, scores, tuple(classifier.classes_.tolist()))


def encode_columns(
    training: "pd.DataFrame",
    held: "pd.DataFrame",
    columns: tuple[str, ...],
    config: ServiceConfig,
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Return both parts with numbers and categories; values that only `held` has are null.

    Times are seconds; text of more than 255 values becomes the place of its value in their order.
    """
    import pandas as pd

    parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for name in columns:
        known = training[name].dropna()
        if known.empty:
            continue
        levels = sorted(known.unique()) if config.data.columns[name] == "text" else []
        for found, rows in zip(parts, (training, held), strict=True):
            values = rows[name]
            if levels:
                encoded = pd.Series(pd.Categorical(values, categories=levels))
                if len(levels) > MOST_LEVELS:
                    encoded = encoded.cat.codes.astype(np.float64).replace(-1.0, np.nan)
            elif config.data.columns[name] == "timestamp":
                moments = values.to_numpy(dtype="datetime64[s]")
                seconds = moments.astype(np.int64).astype(np.float64)
                encoded = pd.Series(np.where(np.isnat(moments), np.nan, seconds))
            else:
                encoded = pd.to_numeric(values).astype(np.float64).reset_index(drop=True)
            found[name] = encoded
    return pd.DataFrame(parts[0]), pd.DataFrame(parts[1])
