"""A loaded model version that the gateway asks for predictions, inline or in a thread."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, Protocol

import numpy as np

from serving.models.batching import MOST_ROWS, Batcher
from serving.models.signature import AnswerShape, Prediction, Record, Signature
from sluice.adapters.registry.model_files import ExportedModel
from sluice.config.data import ColumnKind, DataConfig
from sluice.config.model import Problem
from sluice.errors import AnswerInvalid
from sluice.models.export.row_encoder import RowEncoder
from sluice.stats.holdout import Predictions
from sluice.stats.parity import measure_parity

FormName = Literal["onnx", "trained"]


class Backend(Protocol):
    """A model in memory; it may be asked from several threads at once."""

    name: FormName

    def answer(self, records: Sequence[Record]) -> Predictions:
        """Give the answers to records of the model's signature."""


class OnnxBackend:
    """The graph of the estimator behind preprocessing in float64."""

    name: FormName = "onnx"

    def __init__(self, served: ExportedModel, signature: Signature) -> None:
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


class NativeBackend:
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


@dataclass(frozen=True, eq=False)
class Proof:
    """Held-out records of a version, and the trained form's answers to them."""

    records: Sequence[Record]
    expected: Predictions

    def find_fault(self, form: Backend, shape: AnswerShape) -> str:
        """Ask a form and say in words how its answers are others; empty where they are not."""
        try:
            answers = form.answer(self.records)
            shape.read(answers, len(self.records))
        except AnswerInvalid as error:
            return str(error)
        found = measure_parity(self.expected, answers)
        if found.missing:
            return found.missing
        if not (found.beyond or found.flips):
            return ""
        return (
            f"answers otherwise than when it was judged: differs by {found.difference:.3g}, "
            f"limit {found.allowed:.3g}, in {found.beyond:,} of {found.n:,} rows, "
            f"{found.flips:,} labels flip"
        )


Timed = tuple[Prediction, float]
"""An answer, and the seconds that the model's call took."""
INLINE_ROWS = 32
"""Most rows that are answered on the event loop, half a millisecond or so of it."""


class Predictor(Protocol):
    """One version of a service's model, which answers records of its signature.

    `form` says which form serves, `why` why it is not the graph (empty where it is).
    """

    @property
    def version(self) -> int:
        """The model's version."""

    @property
    def form(self) -> FormName:
        """The form that serves."""

    @property
    def why(self) -> str:
        """Why the trained form serves; empty where the graph does."""

    async def predict(self, records: Sequence[Record]) -> list[Prediction]:
        """Give an answer to each record, every one proved to be an answer."""

    async def predict_timed(self, records: Sequence[Record]) -> tuple[list[Prediction], float]:
        """Give the answers, and the seconds that the model took for them."""

    def close(self) -> None:
        """Let go of the predictor's thread."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A version in memory whose answers were proved on its sample; it never changes.

    `proof` is None where the registry has no sample.
    """

    service: str
    version: int
    digest: str
    signature: Signature
    form: Backend
    shape: AnswerShape
    why: str = ""
    proof: Proof | None = None

    @property
    def proved(self) -> int:
        """How many rows its answers were proved on."""
        return len(self.proof.records) if self.proof else 0

    def answer(self, records: Sequence[Record]) -> list[Prediction]:
        """Give an answer to each record.

        Raises:
            AnswerInvalid: the model failed, or what it gave are no answers.
        """
        return self.shape.read(self.form.answer(records), len(records))

    def find_fault(self) -> str:
        """Prove its answers once more; say in words what is wrong with them, if anything."""
        return self.proof.find_fault(self.form, self.shape) if self.proof else ""


class ModelPredictor:
    """A loaded version behind the protocol `Predictor`.

    `inline`: answers of the graph to few records are computed on the event loop, as the
    champion's are. A candidate's never are: it may hang, and the loop would with it. Off the loop
    the graph, too, has a call for each request: in one for many, a moment in which the machine
    stood still would count for all of them, and make a candidate slower than its equal.
    """

    def __init__(self, model: LoadedModel, inline: bool) -> None:
        self.model = model
        self._inline = inline and model.form.name == "onnx"
        most_rows = 1 if model.form.name == "onnx" else MOST_ROWS
        self._batcher: Batcher[Record, Timed] = Batcher(
            self._answer, f"{model.service} v{model.version}", most_rows
        )

    @property
    def version(self) -> int:
        """The model's version."""
        return self.model.version

    @property
    def form(self) -> FormName:
        """The form that serves."""
        return self.model.form.name

    @property
    def why(self) -> str:
        """Why the trained form serves; empty where the graph does."""
        return self.model.why

    @property
    def running_seconds(self) -> float:
        """For how long its thread has been at work on one call; 0 where it waits for one."""
        return self._batcher.running_seconds

    def is_inline(self, rows: int) -> bool:
        """Whether so many rows are answered on the event loop, where nothing can wait for them."""
        return self._inline and rows <= INLINE_ROWS

    async def predict(self, records: Sequence[Record]) -> list[Prediction]:
        """Give an answer to each record, every one proved to be an answer.

        A time limit is the caller's, as `asyncio.timeout`: who is cancelled is asked for no more.

        Raises:
            AnswerInvalid: the model failed, or what it gave are no answers.
            ArmBusy: too many rows wait for the model already.
        """
        if self.is_inline(len(records)):
            return self.model.answer(records)
        return [prediction for prediction, _ in await self._batcher.ask(records)]

    async def predict_timed(self, records: Sequence[Record]) -> tuple[list[Prediction], float]:
        """Give the answers, and the seconds that the model took for them.

        Both ends are taken where the model is called. What the way to another thread and back
        takes says nothing about the model, and a champion that answers inline has no such way: two
        equal models would differ.

        Raises:
            AnswerInvalid: the model failed, or what it gave are no answers.
            ArmBusy: too many rows wait for the model already.
        """
        timed = (
            self._answer(records)
            if self.is_inline(len(records))
            else await self._batcher.ask(records)
        )
        return [prediction for prediction, _ in timed], timed[-1][1]

    def close(self) -> None:
        """Let the thread end once it has answered what waits."""
        self._batcher.close()

    def _answer(self, records: Sequence[Record]) -> list[Timed]:
        began = time.perf_counter()
        answers = self.model.answer(records)
        seconds = time.perf_counter() - began
        return [(answer, seconds) for answer in answers]
