"""The rows of a batch prediction: what is kept of the input, the answers, version and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.errors import DataInvalid
from sluice.models.answers import check_answers, find_places, name_classes
from sluice.scoring.inputs import BadRow
from sluice.stats.holdout import Predictions

MOMENT = pa.timestamp("us", tz="UTC")
PREDICTION, PROBABILITIES, VERSION, SCORED_AT = (
    "prediction",
    "probabilities",
    "version",
    "scored_at",
)
OWN = (PREDICTION, PROBABILITIES, VERSION, SCORED_AT)
"""Columns that a batch prediction adds to those that are kept."""
BAD_ROWS = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("column", pa.string()),
        ("found", pa.string()),
        ("allowed", pa.string()),
        (VERSION, pa.int64()),
        (SCORED_AT, MOMENT),
    ]
)
"""Columns of the table of rows that were set aside."""


@dataclass(frozen=True)
class AnswerFormat:
    """How a model's answers are written: its classes, empty for a regression, and the positive."""

    classes: tuple[Any, ...]
    positive: Any = None

    @property
    def label_type(self) -> pa.DataType:
        """The Arrow type of a prediction."""
        if not self.classes:
            return pa.float64()
        first = self.classes[0]
        kinds = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
        return kinds.get(type(first), pa.string())

    @property
    def columns(self) -> list[tuple[str, pa.DataType]]:
        """The columns that a batch prediction adds, in their order."""
        named = [(PREDICTION, self.label_type)]
        if self.classes:
            named.append((PROBABILITIES, pa.map_(pa.string(), pa.float64())))
        return [*named, (VERSION, pa.int64()), (SCORED_AT, MOMENT)]


def describe_output(
    schema: pa.Schema, kept: Sequence[str], form: AnswerFormat, source: str
) -> pa.Schema:
    """Return the schema of the output: the kept columns in types that Delta has, then our own.

    Raises:
        DataInvalid: a kept column has the name of one of ours, or a type that Delta lacks.
    """
    fields = []
    for name in kept:
        if name in OWN:
            raise DataInvalid(
                f"{source}: column '{name}' cannot be kept: the output has a column of this name; "
                f"allowed: any but {', '.join(OWN)}; next: rename it, or keep others (`--keep`)"
            )
        fields.append((name, _find_stored_type(schema.field(name).type, name, source)))
    return pa.schema([*fields, *form.columns])


def _find_stored_type(found: pa.DataType, name: str, source: str) -> pa.DataType:
    types = pa.types
    if types.is_dictionary(found):
        return _find_stored_type(found.value_type, name, source)
    if types.is_large_string(found) or types.is_string_view(found):
        return pa.string()
    if types.is_timestamp(found):
        return MOMENT if found.tz else pa.timestamp("us")
    if types.is_uint8(found) or types.is_uint16(found):
        return pa.int32()
    if types.is_uint32(found):
        return pa.int64()
    lacking = (
        types.is_uint64(found)
        or types.is_float16(found)
        or types.is_time(found)
        or types.is_duration(found)
        or types.is_null(found)
        or types.is_interval(found)
    )
    if lacking:
        raise DataInvalid(
            f"{source}: column '{name}' cannot be kept: found {found}, for which Delta tables have "
            "no type; allowed: numbers, text, booleans, dates and timestamps; next: cast it in the "
            "input, or keep other columns (`--keep NAMES`)"
        )
    return found


def write_rows(
    kept: pa.Table,
    answers: Predictions,
    form: AnswerFormat,
    schema: pa.Schema,
    version: int,
    scored_at: datetime,
) -> pa.Table:
    """Return the output's rows for as many rows of an input.

    Raises:
        AnswerInvalid: an answer is no valid one of the model.
        DataInvalid: a kept value does not fit the output's type.
    """
    rows = kept.num_rows
    check_answers(answers, form.classes, rows)
    columns = [_store(kept.column(name), schema.field(name)) for name in kept.column_names]
    labels = np.asarray(answers.labels).tolist()
    columns.append(pa.array(labels, form.label_type))
    if form.classes:
        columns.append(_map_probabilities(answers.scores, form))
    columns.append(pa.array(np.full(rows, version, dtype=np.int64)))
    columns.append(pa.array([scored_at] * rows, MOMENT))
    return pa.Table.from_arrays(columns, schema=schema)


def _store(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(field.type) and column.type.unit == "ns":
        column = pc.floor_temporal(column, unit="microsecond")
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as error:
        raise DataInvalid(
            f"column '{field.name}' cannot be kept: {str(error).splitlines()[0][:200]}; "
            "next: keep other columns (`--keep NAMES`)"
        ) from error


def _map_probabilities(scores: Any, form: AnswerFormat) -> pa.Array:
    """Return each row's probabilities by class, shape (n,), as a gateway answers."""
    if scores.ndim == 1:
        positive, negative = find_places(form.classes, form.positive)
        table = np.empty((len(scores), 2), dtype=np.float64)
        table[:, negative], table[:, positive] = 1.0 - scores, scores
    else:
        table = np.asarray(scores, dtype=np.float64)
    rows, classes = table.shape
    names = pa.DictionaryArray.from_arrays(
        pa.array(np.tile(np.arange(classes, dtype=np.int32), rows)), name_classes(form.classes)
    ).cast(pa.string())
    offsets = pa.array(np.arange(0, rows * classes + 1, classes, dtype=np.int32))
    return pa.MapArray.from_arrays(offsets, names, pa.array(table.ravel()))


def write_bad_rows(bad: Sequence[BadRow], version: int, scored_at: datetime) -> pa.Table:
    """Return the rows that were set aside, with the reasons."""
    rows = [{**vars(item), VERSION: version, SCORED_AT: scored_at} for item in bad]
    return pa.Table.from_pylist(rows, schema=BAD_ROWS)
