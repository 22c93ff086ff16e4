"""The served form of a model: preprocessing, the estimator as a graph, answering."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig
from sluice.errors import ServingImpossible
from sluice.models.serving.answering import Answering, read_answering
from sluice.models.serving.graph import build_graph
from sluice.models.serving.preprocessing import Preprocessing, Rows
from sluice.models.serving.reading import read_preprocessing
from sluice.stats.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd

Run = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""What runs the graph: prepared numbers, shape (n, columns), to scores, shape (n, targets)."""


@dataclass(frozen=True, eq=False)
class ServingForm:
    """All that serving needs, as plain values and an ONNX model's bytes."""

    preprocessing: Preprocessing
    graph: bytes
    answering: Answering

    def predict(self, run: Run, rows: Rows) -> Predictions:
        """Give answers for raw rows, as the pipeline that it was made of would.

        Raises:
            DataInvalid: a feature column is absent, infinite, or not of its kind.
        """
        return self.answering.answer(run(self.preprocessing.encode(rows)))


def build_serving_form(pipeline: Any, data: DataConfig) -> ServingForm:
    """Build the served form of a fitted pipeline.

    Only the estimator becomes a graph: a whole pipeline in single precision errs near splits.

    Raises:
        ServingImpossible: a part of the model has no served form, or it grew too large for one.
    """
    preprocessing = read_preprocessing(pipeline[0], data)
    estimator, answering = read_answering(pipeline[-1], data.positive)
    try:
        graph = build_graph(estimator, preprocessing.width, preprocessing.levels)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ServingImpossible(
            f"{type(estimator).__name__} could not be made a graph: {error}"
        ) from error
    return ServingForm(preprocessing, graph, answering)


def take_columns(frame: "pd.DataFrame", data: DataConfig) -> dict[str, NDArray[Any]]:
    """Give the feature columns of a frame as raw columns.

    Raises:
        DataInvalid: a feature column is absent or infinite.
    """
    from sluice.models.rows import select_features

    chosen = select_features(frame, data)
    types = {"integer": np.float64, "number": np.float64, "timestamp": "datetime64[us]"}
    return {
        name: chosen[name].to_numpy(dtype=types[kind])  # type: ignore[call-overload]
        if (kind := data.columns[name]) in types
        else chosen[name].to_numpy(dtype=object)
        for name in data.features
    }
