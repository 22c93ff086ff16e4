"""The ONNX export of a model, and the parity sample: held-out rows with their predictions.

A gateway that loads the model later, on another computer or with other libraries, checks on the
sample that it still predicts as it did in the release. Only features are kept: no id, no target.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import ColumnKind, DataConfig
from sluice.documents import parse_json
from sluice.errors import ModelDamaged, ServingImpossible
from sluice.models.export.graph import build_graph
from sluice.models.export.postprocessing import Postprocessing, read_postprocessing
from sluice.models.export.preprocessing import Preprocessing, Rows
from sluice.models.export.reading import fold_ngrams, read_preprocessing
from sluice.stats.holdout import Predictions

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_FILE = "parity_sample.json"
SAMPLE_ROWS = 64
Record = dict[str, Any]
Run = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Runs the graph: from prepared numbers, shape (n, columns), to scores, shape (n, targets)."""


@dataclass(frozen=True, eq=False)
class OnnxExport:
    """Everything that serving needs: plain values and the bytes of an ONNX model."""

    preprocessing: Preprocessing
    graph: bytes
    postprocessing: Postprocessing

    def predict(self, run: Run, rows: Rows) -> Predictions:
        """Return predictions for raw rows, equal to those of the pipeline it was built from.

        Raises:
            DataInvalid: a feature column is absent, infinite, or not of its kind.
        """
        return self.postprocessing.apply(run(self.preprocessing.encode(rows)))


def build_onnx_export(pipeline: Any, data: DataConfig) -> OnnxExport:
    """Build the ONNX export of a fitted pipeline.

    Only the estimator becomes a graph: a whole pipeline in single precision errs near splits.

    Raises:
        ServingImpossible: a part of the model has no export, or the graph would be too large.
    """
    estimator, postprocessing = read_postprocessing(pipeline[-1], data.positive)
    preprocessing = read_preprocessing(pipeline[0], data, estimator)
    estimator = fold_ngrams(pipeline[0], estimator)
    try:
        graph = build_graph(estimator, preprocessing.width, preprocessing.levels)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ServingImpossible(
            f"{type(estimator).__name__} could not be converted to a graph: {error}"
        ) from error
    return OnnxExport(preprocessing, graph, postprocessing)


def take_columns(frame: "pd.DataFrame", data: DataConfig) -> dict[str, NDArray[Any]]:
    """Return the feature columns of a frame as arrays by name.

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


@dataclass(frozen=True)
class ParitySample:
    """Records as callers send them, and the native model's predictions; see `Predictions`."""

    records: tuple[Record, ...]
    labels: tuple[Any, ...]
    scores: tuple[Any, ...] | None = None
    classes: tuple[Any, ...] = ()

    @property
    def predictions(self) -> Predictions:
        """The native model's predictions, aligned with the records."""
        names = np.array(self.labels, dtype=object if self.classes else np.float64)
        scores = None if self.scores is None else np.array(self.scores, dtype=np.float64)
        return Predictions(names, scores, self.classes)

    def to_json(self) -> str:
        """Return the sample as JSON text; every number is read back exactly."""
        return json.dumps(vars(self), allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "ParitySample":
        """Return the sample that `to_json` wrote.

        Raises:
            ModelDamaged: the text is no parity sample.
        """
        try:
            values: Mapping[str, Any] = parse_json(text)
            scores = values["scores"]
            return cls(
                tuple(dict(record) for record in values["records"]),
                tuple(values["labels"]),
                None if scores is None else tuple(scores),
                tuple(values["classes"]),
            )
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ModelDamaged(f"{SAMPLE_FILE} is not a parity sample; fetch it again") from error


def choose_rows(frame: "pd.DataFrame", rows: int = SAMPLE_ROWS) -> "pd.DataFrame":
    """Return at most `rows` rows of a frame, evenly spread over it."""
    places = np.unique(np.linspace(0, max(len(frame) - 1, 0), min(rows, len(frame))).astype(int))
    return frame.iloc[places].reset_index(drop=True)


def make_sample(frame: "pd.DataFrame", predictions: Predictions, data: DataConfig) -> ParitySample:
    """Return a parity sample of raw rows and the native model's predictions for them.

    Raises:
        DataInvalid: a feature column is absent or infinite.
    """
    columns = take_columns(frame, data)
    written = {
        name: [_write_value(data.columns[name], value) for value in values.tolist()]
        for name, values in columns.items()
    }
    records = (dict(zip(written, row, strict=True)) for row in zip(*written.values(), strict=True))
    scores = None if predictions.scores is None else tuple(predictions.scores.tolist())
    labels = tuple(predictions.labels.tolist())
    return ParitySample(tuple(records), labels, scores, predictions.classes)


def _write_value(kind: ColumnKind, value: Any) -> Any:
    """Return a value in its JSON form; None for every kind of null."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return None
    if kind == "timestamp":
        return value.isoformat(timespec="microseconds") + "Z"
    return {"integer": int, "number": float, "text": str, "boolean": bool}[kind](value)
