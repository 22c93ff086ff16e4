"""A model version in memory: its backend, and how the gateway asks it for predictions."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, Protocol

import numpy as np

from serving.models.batching import MAX_ROWS, Batcher
from serving.models.signature import AnswerShape, Prediction, Record, Signature
from sluice.adapters.registry.model_files import ExportedModel
from sluice.config.data import ColumnKind, DataConfig
from sluice.config.model import Problem
from sluice.errors import AnswerInvalid
from sluice.models.export.row_encoder import RowEncoder
from sluice.stats.holdout import Predictions
from sluice.stats.parity import describe_difference

BackendName = Literal["onnx", "sklearn"]
"""The ONNX export, or the native model."""
Timed = tuple[Prediction, float]
"""An answer, and the seconds that the model's call took."""
INLINE_ROWS = 32
"""Most rows that are answered on the event loop, in about half a millisecond."""


class Backend(Protocol):
    """What computes the answers of a model; it may be called from several threads at once."""

    name: BackendName

    def answer(self, records: Sequence[Record]) -> Predictions:
        """Return the answers to records of the model's signature."""


class OnnxBackend:
    """The ONNX export: preprocessing in float64, then the estimator's graph."""

    name: BackendName = "onnx"

    def __init__(self, exported: ExportedModel, signature: Signature) -> None:
        self._run = exported.run
        self._postprocessing = exported.export.postprocessing
        self._encoder = RowEncoder(exported.export.preprocessing)
        self._take = _take_values(signature.places_of(self._encoder.names))

    def answer(self, records: Sequence[Record]) -> Predictions:
        """Return the answers, row by row as the pipeline that was exported would.

        Raises:
            AnswerInvalid: the graph could not be run on these numbers, or its scores do not fit.
        """
        try:
            raw = self._run(self._encoder.encode(map(self._take, records)))
        except Exception as error:  # onnxruntime's own classes have no public root
            raise AnswerInvalid(f"the graph failed: {str(error)[:200]}") from error
        try:
            return self._postprocessing.apply(raw)
        except Exception as error:  # a table of classes or points that does not fit the graph
            words = f"{type(error).__name__}: {str(error)[:200]}"
            raise AnswerInvalid(f"the graph's scores do not fit its answers: {words}") from error


class NativeBackend:
    """The native model: the fitted pipeline; a call costs milliseconds even for one row."""

    name: BackendName = "sklearn"

    def __init__(
        self, pipeline: Any, signature: Signature, data: DataConfig, problem: Problem
    ) -> None:
        self._pipeline, self._data, self._problem = pipeline, data, problem
        self._kinds = {name: data.columns[name] for name in data.features}
        self._take = _take_values(signature.places_of(data.features))

    def answer(self, records: Sequence[Record]) -> Predictions:
        """Return the pipeline's own answers.

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
    """Return a function that returns a record's values as a tuple, of one column too."""
    take = attrgetter(*places)
    return take if len(places) > 1 else lambda record: (take(record),)


def _make_column(kind: ColumnKind, values: Sequence[Any]) -> Any:
    """Return a column as the service's table has it: texts with NaN for null, numbers, times."""
    import pandas as pd

    if kind == "text":
        return pd.Series(values, dtype="str")
    if kind == "timestamp":
        return pd.to_datetime(pd.Series(values, dtype=object), utc=True)
    if kind == "boolean":
        return pd.Series(values, dtype=object)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class ParityCheck:
    """Held-out records of a version, and the native model's answers when it was evaluated."""

    records: Sequence[Record]
    expected: Predictions

    def find_fault(self, backend: Backend, shape: AnswerShape) -> str:
        """Return how a backend's answers differ from the expected ones; empty where they agree."""
        try:
            answers = backend.answer(self.records)
            shape.read(answers, len(self.records))
        except AnswerInvalid as error:
            return str(error)
        return describe_difference(self.expected, answers)


class Predictor(Protocol):
    """One version of a service's model, which answers records of its signature."""

    @property
    def version(self) -> int:
        """The model's version."""

    @property
    def backend_name(self) -> BackendName:
        """The backend that serves."""

    @property
    def backend_reason(self) -> str:
        """Why the native model serves; empty where the ONNX export does."""

    async def predict(self, records: Sequence[Record]) -> list[Prediction]:
        """Return an answer to each record, every one checked to be valid."""

    async def predict_timed(self, records: Sequence[Record]) -> tuple[list[Prediction], float]:
        """Return the answers, and the seconds that the model took for them."""

    def close(self) -> None:
        """End the predictor's thread."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A version in memory whose answers were checked on its parity sample; it never changes.

    `backend_reason` says why the native model serves; `parity_check` is None where the registry
    has no sample.
    """

    service: str
    version: int
    digest: str
    signature: Signature
    backend: Backend
    shape: AnswerShape
    backend_reason: str = ""
    parity_check: ParityCheck | None = None

    @property
    def checked_rows(self) -> int:
        """Number of rows on which its answers were checked."""
        return len(self.parity_check.records) if self.parity_check else 0

    def answer(self, records: Sequence[Record]) -> list[Prediction]:
        """Return an answer to each record.

        Raises:
            AnswerInvalid: the model failed, or returned invalid answers.
        """
        return self.shape.read(self.backend.answer(records), len(records))

    def find_fault(self) -> str:
        """Check its answers on its sample again; return what is wrong with them, if anything."""
        return self.parity_check.find_fault(self.backend, self.shape) if self.parity_check else ""


class ModelPredictor:
    """The predictor of a loaded version.

    `inline`: the ONNX export answers few records on the event loop, as the champion's does. A
    candidate's never does: it may hang, and the loop would hang with it. Off the loop the ONNX
    export, too, has one call for each request: if many shared a call, a moment in which the process
    stood still would count for all of them, and a candidate would be slower than an equal champion.
    """

    def __init__(self, model: LoadedModel, inline: bool) -> None:
        self.model = model
        self._inline = inline and model.backend.name == "onnx"
        is_quick = model.backend.name == "onnx"
        self._batcher: Batcher[Record, Timed] = Batcher(
            self._answer,
            f"{model.service} v{model.version}",
            1 if is_quick else MAX_ROWS,
            is_quick=is_quick,
        )

    @property
    def version(self) -> int:
        """The model's version."""
        return self.model.version

    @property
    def backend_name(self) -> BackendName:
        """The backend that serves."""
        return self.model.backend.name

    @property
    def backend_reason(self) -> str:
        """Why the native model serves; empty where the ONNX export does."""
        return self.model.backend_reason

    @property
    def running_seconds(self) -> float:
        """How long its thread has been running one call; 0 where it runs none."""
        return self._batcher.running_seconds

    def is_inline(self, rows: int) -> bool:
        """Whether so many rows are answered on the event loop, without waiting for a thread."""
        return self._inline and rows <= INLINE_ROWS

    async def predict(self, records: Sequence[Record]) -> list[Prediction]:
        """Return an answer to each record, every one checked to be valid.

        The caller sets the time limit, as `asyncio.timeout`: the rows of a cancelled call are
        dropped.

        Raises:
            AnswerInvalid: the model failed, or returned invalid answers.
            ArmBusy: too many rows wait for the model already.
        """
        if self.is_inline(len(records)):
            return self.model.answer(records)
        return [prediction for prediction, _ in await self._batcher.ask(records)]

    async def predict_timed(self, records: Sequence[Record]) -> tuple[list[Prediction], float]:
        """Return the answers, and the seconds that the model took for them.

        The time is measured where the model is called. The way to another thread and back says
        nothing about the model, and a champion that answers inline has no such way: two equal
        models would differ.

        Raises:
            AnswerInvalid: the model failed, or returned invalid answers.
            ArmBusy: too many rows wait for the model already.
        """
        timed = (
            self._answer(records)
            if self.is_inline(len(records))
            else await self._batcher.ask(records)
        )
        return [prediction for prediction, _ in timed], timed[-1][1]

    def close(self) -> None:
        """End the thread once it has answered the rows that wait."""
        self._batcher.close()

    def _answer(self, records: Sequence[Record]) -> list[Timed]:
        began = time.perf_counter()
        answers = self.model.answer(records)
        seconds = time.perf_counter() - began
        return [(answer, seconds) for answer in answers]
