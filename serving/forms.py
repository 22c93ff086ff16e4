"""The two forms in which a model answers records: its graph, or the pipeline as it was trained."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Literal, Protocol

import numpy as np

from serving.signature import Record, Signature
from sluice.adapters.registry.onnx_model import ServedModel
from sluice.config.data import ColumnKind, DataConfig
from sluice.config.model import Problem
from sluice.errors import AnswerInvalid
from sluice.models.serving.row_encoder import RowEncoder
from sluice.stats.predictions import Predictions

FormName = Literal["onnx", "trained"]


class Form(Protocol):
    """A model in memory; it may be asked from several threads at once."""

    name: FormName

    def answer(self, records: Sequence[Record]) -> Predictions:
        """Give the answers to records of the model's signature."""


class OnnxForm:
    """The graph of the estimator behind preprocessing in float64."""

    name: FormName = "onnx"

    def __init__(self, served: ServedModel, signature: Signature) -> None:
        self._run = served.run
        self._answering = served.form.answering
        self._encoder = RowEncoder(served.form.preprocessing)
        self._take = _take_values(signature.places_of(self._encoder.names))

    def answer(self, records: Sequence[Record]) -> Predictions:
        """Give the answers, row by row as the pipeline that the graph was made of would.

        Raises:
            AnswerInvalid: the graph could not be run on these numbers.
        """
        numbers = self._encoder.encode(map(self._take, records))
        try:
            raw = self._run(numbers)
        except Exception as error:  # onnxruntime's own classes have no public root
            raise AnswerInvalid(f"the graph failed: {str(error)[:200]}") from error
        return self._answering.answer(raw)


class TrainedForm:
    """The fitted pipeline itself; a call costs milliseconds, however few the rows."""

    name: FormName = "trained"

    def __init__(
        self, pipeline: Any, signature: Signature, data: DataConfig, problem: Problem
    ) -> None:
        self._pipeline, self._data, self._problem = pipeline, data, problem
        self._kinds = {name: data.columns[name] for name in data.features}
        self._take = _take_values(signature.places_of(data.features))

    def answer(self, records: Sequence[Record]) -> Predictions:
        """Give the pipeline's own answers.

        Raises:
            AnswerInvalid: the pipeline raised an error.
        """
        import pandas as pd

        from sluice.models.prediction import predict

        columns = zip(*map(self._take, records), strict=True)
        frame = pd.DataFrame(
            {
                name: _make_column(kind, values)
                for (name, kind), values in zip(self._kinds.items(), columns, strict=True)
            }
        )
        try:
            return predict(self._pipeline, frame, self._data, self._problem)
        except Exception as error:  # whatever a pipeline raises, its arm has failed
            raise AnswerInvalid(f"the pipeline raised {type(error).__name__}") from error


def _take_values(places: tuple[str, ...]) -> Any:
    """Give what takes a record's values as a tuple, of one column too."""
    take = attrgetter(*places)
    return take if len(places) > 1 else lambda record: (take(record),)


def _make_column(kind: ColumnKind, values: Sequence[Any]) -> Any:
    """Give a column as the service's table gives it: texts with NaN for nulls, numbers, moments."""
    import pandas as pd

    if kind == "text":
        return pd.Series(values, dtype="str")
    if kind == "timestamp":
        return pd.to_datetime(pd.Series(values, dtype=object), utc=True)
    if kind == "boolean":
        return pd.Series(values, dtype=object)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
