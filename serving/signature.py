"""What a model takes: one strict type for a record, made from the columns that it was trained on.

A feature may be null and may not be absent; a field that the model does not know is left alone,
so that callers can send a new feature before the model that uses it serves.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from sluice.config.data import ColumnKind
from sluice.errors import RequestInvalid

MOST_RECORDS = 1000
"""Most records of one request."""
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
TYPES: dict[ColumnKind, Any] = {
    "integer": Whole | None,
    "number": float | None,
    "text": str | None,
    "boolean": bool | None,
    "timestamp": datetime | None,
}
ALLOWED: dict[ColumnKind, str] = {
    "integer": "a whole number of 64 bits, or null",
    "number": "a finite number, or null",
    "text": "a text, or null",
    "boolean": "true, false or null",
    "timestamp": "an RFC 3339 time such as 2024-05-01T12:00:00Z, or null",
}
SCHEMAS: dict[ColumnKind, dict[str, Any]] = {
    "integer": {"type": ["integer", "null"], "minimum": -(2**63), "maximum": 2**63 - 1},
    "number": {"type": ["number", "null"]},
    "text": {"type": ["string", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "timestamp": {"type": ["string", "null"], "format": "date-time"},
}
Record = msgspec.Struct
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
        many = Annotated[
            list[self.record],  # type: ignore[name-defined]
            msgspec.Meta(min_length=1, max_length=MOST_RECORDS),
        ]
        self._one = msgspec.json.Decoder(self.record)
        self._many = msgspec.json.Decoder(many)

    def places_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Give the attributes of a record that hold these columns, in their order."""
        order = list(self.columns)
        return tuple(f"f{order.index(name)}" for name in names)

    def decode(self, inputs: bytes | msgspec.Raw) -> list[Record]:
        """Give the records of a request's `inputs`: one object, or a list of them.

        Raises:
            RequestInvalid: it is no JSON of that kind; the field, what was found and what is
                allowed are named, values are not.
        """
        try:
            if is_many(inputs):
                return self._many.decode(inputs)
            return [self._one.decode(inputs)]
        except msgspec.ValidationError as error:
            raise RequestInvalid(self._explain(str(error))) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestInvalid(f"inputs: not readable as JSON: {_say(error)}") from error

    def describe(self) -> dict[str, Any]:
        """Give the JSON schema of one record, for the gateway's own description."""
        return {
            "type": "object",
            "properties": {name: SCHEMAS[kind] for name, kind in self.columns.items()},
            "required": list(self.columns),
        }

    def _explain(self, message: str) -> str:
        """Say which field is at fault, what was found there, and what is allowed."""
        fault, _, place = message.partition(" - at `$")
        path = f"inputs{place.rstrip('`')}"
        if absent := MISSING.fullmatch(fault):
            name = absent[1]
            return f"{path}.{name}: found nothing; allowed: {self._allow(name)}"
        found = GOT.fullmatch(fault)
        name = path.partition(".")[2]
        allowed = self._allow(name) if name in self.columns else _allow_inputs()
        return f"{path}: found {found[1] if found else fault}; allowed: {allowed}"

    def _allow(self, name: str) -> str:
        return ALLOWED[self.columns[name]]


def is_many(inputs: bytes | msgspec.Raw) -> bool:
    """Whether a request's `inputs` are a list of records, and not one."""
    return bytes(memoryview(inputs)[:64]).lstrip()[:1] == b"["


def _allow_inputs() -> str:
    return f"one record, or a list of 1 to {MOST_RECORDS:,} of them"


def _say(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "too deep"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(error)
