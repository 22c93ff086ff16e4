"""Predictions of a fitted pipeline on raw rows."""

from typing import TYPE_CHECKING, Any

import numpy as np

from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.errors import DataInvalid
from sluice.models.rows import find_positive, select_features
from sluice.models.threads import limit_threads
from sluice.stats.holdout import Predictions

if TYPE_CHECKING:
    import pandas as pd


def predict(
    pipeline: Any,
    frame: "pd.DataFrame",
    data: DataConfig,
    problem: Problem,
    positive: Any = None,
) -> Predictions:
    """Return a pipeline's predictions for raw rows; only the feature columns are read.

    Scores of a binary problem are the probabilities of `positive`, by default the configuration's.

    Raises:
        DataInvalid: a feature column is absent or infinite, or the model was not trained on the
            positive class.
    """
    X = select_features(frame, data)
    if problem == "regression":
        with limit_threads(len(X)):
            values = pipeline.predict(X) if len(X) else np.empty(0)
        return Predictions(np.asarray(values, dtype=np.float64))
    classes = pipeline.classes_
    if len(X):
        with limit_threads(len(X)):
            features, model = pipeline[:-1].transform(X), pipeline[-1]
            labels, scores = model.predict(features), model.predict_proba(features)
    else:
        labels, scores = classes[:0], np.empty((0, len(classes)))
    if problem == "binary":
        scores = scores[:, find_column(classes, data.positive if positive is None else positive)]
    return Predictions(labels, np.asarray(scores, dtype=np.float64), tuple(classes.tolist()))


def find_column(classes: Any, positive: Any) -> int:
    """Return the place of the positive class among the classes of a model.

    Raises:
        DataInvalid: the model was not trained on the positive class.
    """
    found = find_positive(classes, positive)
    if found is None:
        known = ", ".join(repr(value) for value in classes.tolist())
        raise DataInvalid(f"the model knows no class {positive!r}; it was trained on: {known}")
    return int(classes.tolist().index(found))


def restore_features(pipeline: Any, data: DataConfig) -> DataConfig:
    """Return the configuration with the features that a pipeline was trained on.

    A champion reads its own features, whatever the configuration of its successor names.

    Raises:
        DataInvalid: the rows no longer have one of them.
    """
    names = tuple(str(name) for name in getattr(pipeline, "feature_names_in_", data.features))
    gone = [name for name in names if name not in data.columns]
    if gone:
        raise DataInvalid(
            f"the model reads column '{gone[0]}', which data.columns no longer names: it cannot "
            "predict these rows; keep the column in data.columns, out of data.features"
        )
    return data.model_copy(update={"features": names})
