"""What a model takes and returns: strict record types made from its training columns.

A feature may be null but not absent. A field that the model does not know is ignored, so that
callers can send a new feature before the model that uses it serves.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Annotated, Any

import msgspec

from sluice.config.data import ColumnKind
from sluice.errors import AnswerInvalid, RequestInvalid
from sluice.models.answers import SLACK, find_places, name_classes
from sluice.stats.holdout import Predictions

MAX_RECORDS = 1000
"""Most records of one request."""
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
EXACT = 2**53
"""Whole numbers below it are exact with a point too, such as 3.0."""
LOOSE = Whole | float | None
"""Type of a whole number that may have a point."""
TYPES: dict[ColumnKind, Any] = {
    "integer": Whole | None,
    "number": float | None,
    "text": str | None,
    "boolean": bool | None,
    "timestamp": datetime | None,
}
ALLOWED: dict[ColumnKind, str] = {
    "integer": "a whole number of 64 bits, such as 3 or 3.0, or null",
    "number": "a finite number, or null",
    "text": "a text, or null",
    "boolean": "true, false or null",
    "timestamp": "an RFC 3339 time such as 2024-05-01T12:00:00Z, or null",
}
SCHEMAS: dict[ColumnKind, dict[str, Any]] = {
    "integer": {
        "type": ["integer", "null"],
        "minimum": -(2**63),
        "maximum": 2**63 - 1,
        "description": "A whole number; below 2**53 also with a point, such as 3.0.",
    },
    "number": {"type": ["number", "null"]},
    "text": {"type": ["string", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "timestamp": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "RFC 3339; a time without a zone is UTC.",
    },
}
Record = msgspec.Struct
_ENCODER = msgspec.json.Encoder()
FLOAT_FOR_INTEGER = "Expected `int | null`, got `float`"
MISSING = re.compile(r"Object missing required field `(.*)`")
GOT = re.compile(r"Expected `.*`, got `(.*)`")


class Signature:
    """The features of a model by name and kind, and the decoder of its records."""

    def __init__(self, columns: Mapping[str, ColumnKind]) -> None:
        self.columns = dict(columns)
        fields = [(f"f{place}", TYPES[kind]) for place, kind in enumerate(columns.values())]
        names = {f"f{place}": name for place, name in enumerate(columns)}
        self.record: type[Record] = msgspec.defstruct(
            "Record", fields, rename=names, frozen=True, gc=False
        )
        self._one, self._many = _make_decoders(self.record)
        self._whole = {
            field: name
            for (field, _), (name, kind) in zip(fields, columns.items(), strict=True)
            if kind == "integer"
        }
        loose = [(field, LOOSE if field in self._whole else found) for field, found in fields]
        self._loose_one, self._loose_many = _make_decoders(
            msgspec.defstruct("LooseRecord", loose, rename=names, gc=False)
        )

    def places_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the attributes of a record that hold these columns, in their order."""
        order = list(self.columns)
        return tuple(f"f{order.index(name)}" for name in names)

    def decode(self, inputs: bytes | msgspec.Raw) -> list[Record]:
        """Return the records of a request's `inputs`: one object, or a list of them.

        Raises:
            RequestInvalid: it is not such JSON; the message names the field, what was found and
                what is allowed, but no value.
        """
        try:
            if is_many(inputs):
                return self._many.decode(inputs)
            return [self._one.decode(inputs)]
        except msgspec.ValidationError as error:
            if self._whole and FLOAT_FOR_INTEGER in str(error):
                return self._decode_points(inputs)
            raise RequestInvalid(self._explain(str(error))) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestInvalid(f"inputs: not readable as JSON: {_describe(error)}") from error

    def _decode_points(self, inputs: bytes | msgspec.Raw) -> list[Record]:
        """Return records in which some whole numbers have a point, such as 3.0.

        Raises:
            RequestInvalid: a number is not whole, or too large to be exact; or as `decode`.
        """
        many = is_many(inputs)
        try:
            found = self._loose_many.decode(inputs) if many else [self._loose_one.decode(inputs)]
        except msgspec.ValidationError as error:
            raise RequestInvalid(self._explain(str(error))) from error
        records = []
        for place, loose in enumerate(found):
            values = msgspec.structs.asdict(loose)
            for field, name in self._whole.items():
                value = values[field]
                if not isinstance(value, float):
                    continue
                if not value.is_integer() or abs(value) >= EXACT:
                    path = f"inputs[{place}]" if many else "inputs"
                    raise RequestInvalid(
                        f"{path}.{name}: found float; allowed: {self._allow(name)}"
                    )
                values[field] = int(value)
            records.append(self.record(**values))
        return records

    def describe(self) -> dict[str, Any]:
        """Return the JSON schema of one record, for the OpenAPI description."""
        return {
            "type": "object",
            "properties": {name: SCHEMAS[kind] for name, kind in self.columns.items()},
            "required": list(self.columns),
        }

    def _explain(self, message: str) -> str:
        """Name the invalid field, what was found there, and what is allowed."""
        fault, _, where = message.partition(" - at `$")
        path = f"inputs{where.rstrip('`')}"
        if missing := MISSING.fullmatch(fault):
            name = missing[1]
            return f"{path}.{name}: found nothing; allowed: {self._allow(name)}"
        found = GOT.fullmatch(fault)
        name = path.partition(".")[2]
        allowed = self._allow(name) if name in self.columns else _allow_inputs()
        return f"{path}: found {found[1] if found else fault}; allowed: {allowed}"

    def _allow(self, name: str) -> str:
        return ALLOWED[self.columns[name]]


def _make_decoders(
    record: type[Record],
) -> tuple[msgspec.json.Decoder[Record], msgspec.json.Decoder[list[Record]]]:
    """Return the decoders of one record, and of a list of them."""
    many = Annotated[
        list[record],  # type: ignore[valid-type]
        msgspec.Meta(min_length=1, max_length=MAX_RECORDS),
    ]
    return msgspec.json.Decoder(record), msgspec.json.Decoder(many)


def is_many(inputs: bytes | msgspec.Raw) -> bool:
    """Whether a request's `inputs` are a list of records, not a single one."""
    return bytes(memoryview(inputs)[:64]).lstrip()[:1] == b"["


def _allow_inputs() -> str:
    return f"one record, or a list of 1 to {MAX_RECORDS:,} of them"


def _describe(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "too deep"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(error)


class Prediction(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to one record; probabilities by class, only where there are classes."""

    prediction: str | int | float | bool
    probabilities: dict[str, float] | None = None


def encode_outputs(predictions: Sequence[Prediction], many: bool) -> bytes:
    """Return the answers as JSON: a list, or the one answer to a single record."""
    return _ENCODER.encode(predictions if many else predictions[0])


class AnswerShape:
    """The valid answers of a model: as many as records, of known classes, all finite."""

    def __init__(self, classes: Sequence[Any], positive: Any = None) -> None:
        self.classes = tuple(classes)
        self._names = name_classes(classes)
        self._known = set(self.classes)
        self._positive, self._negative = find_places(self.classes, positive)

    def read(self, answers: Predictions, rows: int) -> list[Prediction]:
        """Return the answers to so many records, each checked to be valid.

        Raises:
            AnswerInvalid: a number is NaN or infinite, a probability is not one, a class is
                unknown, or there are too many or too few rows.
        """
        try:
            labels = answers.labels.tolist()
            scores = None if answers.scores is None else answers.scores.tolist()
            if len(labels) != rows or (scores is not None and len(scores) != rows):
                raise AnswerInvalid(f"found {len(labels):,} answers to {rows:,} records")
            if not self.classes:
                return [Prediction(_check_value(value)) for value in labels]
            if scores is None:
                raise AnswerInvalid("found no probabilities; allowed: one for each class")
            read = self._read_pair if len(self.classes) == 2 else self._read_row
            return [read(label, score) for label, score in zip(labels, scores, strict=True)]
        except (TypeError, AttributeError, ValueError) as error:
            raise AnswerInvalid(f"found answers of another type: {error}") from error

    def _read_pair(self, label: Any, score: float) -> Prediction:
        if not 0.0 <= score <= 1.0 + SLACK or label not in self._known:
            raise AnswerInvalid(self._explain(label, [score]))
        names = self._names
        return Prediction(label, {names[self._negative]: 1.0 - score, names[self._positive]: score})

    def _read_row(self, label: Any, scores: list[float]) -> Prediction:
        fits = len(scores) == len(self._names) and all(
            0.0 <= item <= 1.0 + SLACK for item in scores
        )
        if not fits or abs(sum(scores) - 1.0) > SLACK * len(scores) or label not in self._known:
            raise AnswerInvalid(self._explain(label, scores))
        return Prediction(label, dict(zip(self._names, scores, strict=True)))

    def _explain(self, label: Any, scores: list[float]) -> str:
        classes = ", ".join(self._names)
        known = "a known class" if label in self._known else "an unknown class"
        shown = ", ".join(f"{item:.4g}" for item in scores[:5])
        return f"found {known} with probabilities {shown}; allowed: {classes}, each 0 to 1, sum 1"


def _check_value(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise AnswerInvalid(f"found {number} as a value; allowed: finite numbers")
    return number
