"""The ONNX export of a model, and a sample of held-out rows that proves it.

Whoever loads the model later, on another machine or under other libraries, can prove on them that
it still answers as it did when it was judged. Only features are kept: no id, no target.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import ColumnKind, DataConfig
from sluice.errors import ModelDamaged, ServingImpossible
from sluice.models.export.answering import Postprocessing, read_answering
from sluice.models.export.graph import build_graph
from sluice.models.export.preprocessing import Preprocessing, Rows, read_preprocessing
from sluice.stats.holdout import Predictions

if TYPE_CHECKING:
    import pandas as pd


Run = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""What runs the graph: prepared numbers, shape (n, columns), to scores, shape (n, targets)."""


@dataclass(frozen=True, eq=False)
class OnnxExport:
    """All that serving needs, as plain values and an ONNX model's bytes."""

    preprocessing: Preprocessing
    graph: bytes
    answering: Postprocessing

    def predict(self, run: Run, rows: Rows) -> Predictions:
        """Give answers for raw rows, as the pipeline that it was made of would.

        Raises:
            DataInvalid: a feature column is absent, infinite, or not of its kind.
        """
        return self.answering.answer(run(self.preprocessing.encode(rows)))


def build_onnx_export(pipeline: Any, data: DataConfig) -> OnnxExport:
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
    return OnnxExport(preprocessing, graph, answering)


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


SAMPLE_FILE = "parity_sample.json"
ROWS = 64
Record = dict[str, Any]


@dataclass(frozen=True)
class ParitySample:
    """Records as callers send them, and what the trained form said; see `Predictions`."""

    records: tuple[Record, ...]
    labels: tuple[Any, ...]
    scores: tuple[Any, ...] | None = None
    classes: tuple[Any, ...] = ()

    @property
    def answers(self) -> Predictions:
        """The trained form's answers, aligned with the records."""
        names = np.array(self.labels, dtype=object if self.classes else np.float64)
        scores = None if self.scores is None else np.array(self.scores, dtype=np.float64)
        return Predictions(names, scores, self.classes)

    def to_json(self) -> str:
        """Write the sample as JSON text; every number comes back exactly."""
        return json.dumps(vars(self), allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "ParitySample":
        """Read what `to_json` wrote.

        Raises:
            ModelDamaged: it is something else.
        """
        try:
            values: Mapping[str, Any] = json.loads(text)
            scores = values["scores"]
            return cls(
                tuple(dict(record) for record in values["records"]),
                tuple(values["labels"]),
                None if scores is None else tuple(scores),
                tuple(values["classes"]),
            )
        except (ValueError, LookupError, TypeError) as error:
            raise ModelDamaged(f"{SAMPLE_FILE} is not a parity sample; fetch it again") from error


def choose_rows(frame: "pd.DataFrame", rows: int = ROWS) -> "pd.DataFrame":
    """Give so many rows of a frame, evenly spread over it; all where it has no more."""
    places = np.unique(np.linspace(0, max(len(frame) - 1, 0), min(rows, len(frame))).astype(int))
    return frame.iloc[places].reset_index(drop=True)


def make_sample(frame: "pd.DataFrame", answers: Predictions, data: DataConfig) -> ParitySample:
    """Make a sample of raw rows and the trained form's answers to them.

    Raises:
        DataInvalid: a feature column is absent or infinite.
    """
    columns = take_columns(frame, data)
    written = {
        name: [_write_value(data.columns[name], value) for value in values.tolist()]
        for name, values in columns.items()
    }
    records = (dict(zip(written, row, strict=True)) for row in zip(*written.values(), strict=True))
    scores = None if answers.scores is None else tuple(answers.scores.tolist())
    return ParitySample(tuple(records), tuple(answers.labels.tolist()), scores, answers.classes)


def _write_value(kind: ColumnKind, value: Any) -> Any:
    """Give a value as JSON has it; None for every kind of null."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return None
    if kind == "timestamp":
        return value.isoformat(timespec="microseconds") + "Z"
    return {"integer": int, "number": float, "text": str, "boolean": bool}[kind](value)
