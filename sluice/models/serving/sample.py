"""A few held-out rows with the trained form's answers, kept beside a model.

Whoever loads the model later, on another machine or under other libraries, can prove on them that
it still answers as it did when it was judged. Only features are kept: no id, no target.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from sluice.config.data import ColumnKind, DataConfig
from sluice.errors import ModelDamaged
from sluice.models.serving.form import take_columns
from sluice.stats.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd

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
