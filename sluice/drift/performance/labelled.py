"""Labelled answers of the traffic log as rows, predictions and outcomes that can be measured."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import ColumnKind
from sluice.config.model import Problem
from sluice.documents import DocumentInvalid, parse_json
from sluice.stats.holdout import Predictions

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN = 3
"""Request ids that are named of each kind of answer that cannot be measured."""
ALLOWED: dict[ColumnKind, str] = {
    "integer": "a whole number",
    "number": "a finite number",
    "text": "a text",
    "boolean": "true or false",
    "timestamp": "a text",
}


@dataclass(frozen=True)
class AnswerForm:
    """What a version answers, and what its labels are.

    `classes` are the model's classes as the data spells them, empty for a regression; `positive` is
    the one that counts as 1 in a binary problem. `columns` are the table's columns and kinds.
    """

    problem: Problem
    target: str
    columns: Mapping[str, ColumnKind]
    classes: tuple[str | int | float | bool, ...] = ()
    positive: str | int | float | bool | None = None


@dataclass(frozen=True)
class SkippedAnswers:
    """Labelled answers that cannot be measured, by the reason: how many, and the first ids."""

    counts: Mapping[str, int] = field(default_factory=dict)
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, reason: str, ids: Sequence[str]) -> "SkippedAnswers":
        """Return it with more answers that were skipped for a reason."""
        if not ids:
            return self
        known = (*self.named.get(reason, ()), *ids)[:SHOWN]
        total = self.counts.get(reason, 0) + len(ids)
        return SkippedAnswers({**self.counts, reason: total}, {**self.named, reason: known})

    def merge(self, other: "SkippedAnswers") -> "SkippedAnswers":
        """Return both together."""
        merged = self
        for reason, count in other.counts.items():
            merged = merged.add(reason, other.named[reason])
            missing = count - len(other.named[reason])
            merged = replace(
                merged, counts={**merged.counts, reason: merged.counts[reason] + missing}
            )
        return merged

    def describe(self, what: str = "labelled answers") -> list[str]:
        """Return a sentence for each reason; `what` names the answers that were looked at."""
        return [
            f"{count:,} {what} are not measured: {reason} (first: {', '.join(self.named[reason])})"
            for reason, count in self.counts.items()
        ]


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Answers with their outcomes, in order: `y` has shape (n,), all others are aligned with it.

    `frame` has the columns of the table that the callers sent, which can be more than the model's
    features. `labelled` is when each first label arrived.
    """

    y: NDArray[Any]
    predictions: Predictions
    frame: "DataFrame"
    request_ids: tuple[str, ...]
    labelled: tuple[datetime, ...]
    answered: tuple[datetime, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y)


def decode_answers(
    form: AnswerForm, answers: Iterable[Mapping[str, Any]]
) -> tuple[LabelledRows, SkippedAnswers]:
    """Return the answers that can be measured, and why the others cannot.

    `answers` are rows of labelled traffic of one version (`sluice.adapters.traffic.labelled`).
    """
    decoded: list[_Decoded] = []
    kept: list[Mapping[str, Any]] = []
    skipped: dict[str, list[str]] = {}
    for answer in answers:
        try:
            decoded.append(_decode(form, answer))
            kept.append(answer)
        except _Unmeasured as reason:
            skipped.setdefault(str(reason), []).append(answer["request_id"])
    found = SkippedAnswers()
    for words, ids in skipped.items():
        found = found.add(words, ids)
    return _collect(form, decoded, kept), found


def decode_predictions(
    form: AnswerForm, answers: Iterable[Mapping[str, Any]]
) -> tuple[Predictions, "DataFrame", SkippedAnswers]:
    """Return predictions and rows of logged answers without labels, and why others have none.

    A request of several records has a row for each.
    """
    decoded: list[_Decoded] = []
    skipped: dict[str, list[str]] = {}
    for answer in answers:
        try:
            decoded += _decode_all(form, answer)
        except _Unmeasured as reason:
            skipped.setdefault(str(reason), []).append(answer["request_id"])
    found = SkippedAnswers()
    for words, ids in skipped.items():
        found = found.add(words, ids)
    labels = _make_labels(form, [one.prediction for one in decoded])
    frame = build_frame(form.columns, [one.record for one in decoded])
    return _make_predictions(form, decoded, labels), frame, found


class _Unmeasured(Exception):  # noqa: N818
    """An answer that cannot be measured; the message is the reason, without data."""


@dataclass(frozen=True)
class _Decoded:
    """One answer: its record, its label, what was predicted, and the probabilities."""

    record: Mapping[str, Any]
    label: Any
    prediction: Any
    scores: tuple[float, ...] = ()


def _decode(form: AnswerForm, answer: Mapping[str, Any]) -> _Decoded:
    if answer["failed"] and not answer["fallback"]:
        raise _Unmeasured("the request failed")
    output, record = _parse_one(answer["outputs"]), _parse_one(answer["inputs"])
    return _decode_output(form, record, _read_label(form, answer["label"]), output)


def _decode_all(form: AnswerForm, answer: Mapping[str, Any]) -> list[_Decoded]:
    """Return every record of a request, without a label."""
    outputs, records = _parse_all(answer["outputs"]), _parse_all(answer["inputs"])
    if len(outputs) != len(records):
        raise _Unmeasured("the logged request is not readable")
    return [
        _decode_output(form, record, None, output)
        for record, output in zip(records, outputs, strict=True)
    ]


def _decode_output(
    form: AnswerForm, record: Mapping[str, Any], label: Any, output: Mapping[str, Any]
) -> _Decoded:
    """Return one record with its label and what the model answered."""
    try:
        prediction = output["prediction"]
        if form.problem == "regression":
            return _Decoded(record, label, _check_number(prediction))
        given = output["probabilities"]
        scores = tuple(_check_number(given[name]) for name in map(_name_class, form.classes))
    except (KeyError, TypeError) as error:
        raise _Unmeasured("the answer is not one of this version's model") from error
    place = find_class(form.classes, prediction)
    if place is None:
        raise _Unmeasured("the answer is not one of this version's model")
    return _Decoded(record, label, form.classes[place], scores)


def _parse_one(text: str | None) -> Mapping[str, Any]:
    """Return the one record, or the one prediction, of a request."""
    found = _parse_all(text)
    if len(found) != 1:
        raise _Unmeasured("the request had several records and has one label")
    return found[0]


def _parse_all(text: str | None) -> list[Mapping[str, Any]]:
    """Return the records, or the predictions, of a request."""
    if not text:
        raise _Unmeasured("the request has no answer")
    try:
        found = parse_json(text)
    except DocumentInvalid as error:
        raise _Unmeasured("the logged request is not readable") from error
    listed = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in listed):
        raise _Unmeasured("the logged request is not readable")
    return listed


def _read_label(form: AnswerForm, text: str) -> Any:
    """Return a label as the data spells it."""
    kind = form.columns[form.target]
    allowed = ALLOWED[kind]
    try:
        label = parse_json(text)
    except DocumentInvalid as error:
        raise _Unmeasured("the label is not readable") from error
    if form.problem == "regression":
        if isinstance(label, bool) or not isinstance(label, int | float) or not isfinite(label):
            raise _Unmeasured(f"the label is {_name_type(label)}, allowed: a finite number")
        return float(label)
    place = find_class(form.classes, label)
    if place is not None:
        return form.classes[place]
    known = ", ".join(map(_name_class, form.classes[:10]))
    if not _is_of_kind(label, kind):
        raise _Unmeasured(f"the label is {_name_type(label)}, allowed: {allowed}: {known}")
    raise _Unmeasured(f"the label is no class of the model, allowed: {known}")


def find_class(classes: Sequence[Any], value: Any) -> int | None:
    """Return the place of a value among classes; true is not 1, and 1.0 is."""
    for place, one in enumerate(classes):
        if isinstance(one, bool) == isinstance(value, bool) and one == value:
            return place
    return None


def _is_of_kind(value: Any, kind: ColumnKind) -> bool:
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    if kind in ("integer", "number"):
        return isinstance(value, int | float)
    return isinstance(value, str)


def _name_type(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if value is None or isinstance(value, list | dict):
        return "null" if value is None else "a list or a mapping"
    return "a text" if isinstance(value, str) else "a number"


def _name_class(value: str | int | float | bool) -> str:
    """Return a class as the gateway names it in an answer's probabilities."""
    return value if isinstance(value, str) else json.dumps(value)


def _check_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise _Unmeasured("the answer is not one of this version's model")
    return float(value)


def _collect(
    form: AnswerForm, decoded: Sequence[_Decoded], answers: Sequence[Mapping[str, Any]]
) -> LabelledRows:
    labels = _make_labels(form, [one.prediction for one in decoded])
    return LabelledRows(
        y=_make_labels(form, [one.label for one in decoded]),
        predictions=_make_predictions(form, decoded, labels),
        frame=build_frame(form.columns, [one.record for one in decoded]),
        request_ids=tuple(answer["request_id"] for answer in answers),
        labelled=tuple(answer["labelled_at"] for answer in answers),
        answered=tuple(answer["at"] for answer in answers),
    )


def _make_labels(form: AnswerForm, values: Sequence[Any]) -> NDArray[Any]:
    if form.problem == "regression":
        return np.array(values, dtype=np.float64)
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def _make_predictions(
    form: AnswerForm, decoded: Sequence[_Decoded], labels: NDArray[Any]
) -> Predictions:
    if form.problem == "regression":
        return Predictions(labels)
    scores = np.array([one.scores for one in decoded], dtype=np.float64)
    scores = scores.reshape(len(decoded), len(form.classes))
    if form.problem == "binary":
        place = find_class(form.classes, form.positive)
        return Predictions(labels, scores[:, 0 if place is None else place], form.classes)
    return Predictions(labels, scores, form.classes)


def build_frame(
    columns: Mapping[str, ColumnKind], records: Sequence[Mapping[str, Any]]
) -> "DataFrame":
    """Return logged records as rows, with the types that the table's columns have.

    A column that no record has is left out. A value that does not fit its column is null.
    """
    import pandas as pd

    present = [name for name in columns if any(name in record for record in records)]
    made = {
        name: _make_column(columns[name], [record.get(name) for record in records])
        for name in present
    }
    return pd.DataFrame(made, index=range(len(records)))


def _make_column(kind: ColumnKind, values: Sequence[Any]) -> Any:
    import pandas as pd

    if kind == "timestamp":
        texts = [value if isinstance(value, str) else None for value in values]
        return pd.to_datetime(
            pd.Series(texts, dtype=object), utc=True, errors="coerce", format="ISO8601"
        )
    read: dict[str, Callable[[Any], Any]] = {
        "integer": _read_number,
        "number": _read_number,
        "text": lambda value: value if isinstance(value, str) else None,
        "boolean": lambda value: value if isinstance(value, bool) else None,
    }
    found = [read[kind](value) for value in values]
    if kind == "integer":
        whole = [
            int(value) if value is not None and value == int(value) else None for value in found
        ]
        return pd.array(whole, dtype="Int64")
    if kind == "number":
        return np.array([np.nan if value is None else value for value in found], dtype=np.float64)
    return pd.Series(found, dtype=object)


def _read_number(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return value if abs(value) < 2**63 else None
