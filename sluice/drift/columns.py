"""What is watched of each raw column, and its values as numbers or as levels.

A number is watched as it is, a category by its levels. A text of words becomes two numbers, its
length and the share of its words that the reference's vocabulary lacks; a timestamp becomes its
age, month, weekday and hour.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.drift.bins import name_number
from sluice.drift.words import measure_texts
from sluice.models.calendar import DAY, split_moments

Role = Literal["feature", "prediction", "label"]
Form = Literal["number", "level", "length", "unknown_words", "age", "month", "weekday", "hour"]
TEXT_FORMS: tuple[Form, ...] = ("length", "unknown_words")
TIME_FORMS: tuple[Form, ...] = ("age", "month", "weekday", "hour")
FIRST_FORMS: tuple[Form, ...] = ("number", "level", "length", "month")
PREDICTION, SCORE = "(prediction)", "(score)"
"""Names of a model's outputs: its answer, and the positive class's probability, 0 to 1."""
NO_COLUMNS: tuple[str, ...] = ()
KEEPS = "it is the column that orders rows in time, which grows by nature"
GROWS = "it grows with time by nature, as its data rule says"
CALENDAR = "it grows with time by nature, as its encoding `calendar` says"
NO_TIME = "no timestamp orders the rows (data.time), to which an age could be counted"


@dataclass(frozen=True)
class WatchedColumn:
    """One distribution that is watched: the raw column `source`, in one form.

    `name` is the source's own, with the form behind a dot for a form of several
    (`title.length`). `origin` is the column to whose moments ages are counted.
    """

    name: str
    source: str
    form: Form
    role: Role = "feature"
    origin: str = ""

    @property
    def is_first(self) -> bool:
        """Whether it stands for its source where that is null or missing: once a source."""
        return self.form in FIRST_FORMS

    def can_be_read(self, names: Collection[str]) -> bool:
        """Return whether rows with columns of these names have it."""
        return self.source in names and (self.form != "age" or self.origin in names)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Watched:
    """The watched columns, and why others are not (`left_out`: reason by name)."""

    columns: tuple[WatchedColumn, ...]
    left_out: Mapping[str, str]


def list_watched(
    data: DataConfig,
    problem: Problem,
    classes: Collection[Any] = (),
    growing: Collection[str] = NO_COLUMNS,
) -> Watched:
    """Return what is watched of a service: features, the model's outputs, the target.

    `growing` are columns that grow with time by nature; they are left out, and so are `data.time`
    itself and the age of a timestamp whose encoding is `calendar`. `classes` are a classifier's;
    with more than two, each class's probability is watched.
    """
    columns: list[WatchedColumn] = []
    left_out: dict[str, str] = {}
    for name in data.features:
        if name == data.time or name in growing:
            left_out[name] = KEEPS if name == data.time else GROWS
            continue
        found, reasons = _list_forms(name, data)
        columns += found
        left_out |= reasons
    columns += _list_outputs(problem, classes)
    form: Form = "number" if problem == "regression" else "level"
    columns.append(WatchedColumn(data.target, data.target, form, "label"))
    return Watched(tuple(columns), left_out)


def _list_forms(name: str, data: DataConfig) -> tuple[list[WatchedColumn], dict[str, str]]:
    """Return what is watched of one feature, and what of it is not."""
    kind, encoding = data.columns[name], data.encoding_of(name)
    if encoding in ("text", "ngrams"):
        return [WatchedColumn(f"{name}.{form}", name, form) for form in TEXT_FORMS], {}
    if encoding in ("seconds", "date", "calendar"):
        has_time = bool(data.time) and data.columns[data.time] == "timestamp"
        reason = CALENDAR if encoding == "calendar" else ("" if has_time else NO_TIME)
        forms = [form for form in TIME_FORMS if form != "age" or not reason]
        origin = data.time if has_time else ""
        return [WatchedColumn(f"{name}.{form}", name, form, origin=origin) for form in forms], (
            {f"{name}.age": reason} if reason else {}
        )
    is_level = kind in ("text", "boolean")
    return [WatchedColumn(name, name, "level" if is_level else "number")], {}


def _list_outputs(problem: Problem, classes: Collection[Any]) -> list[WatchedColumn]:
    if problem == "regression":
        return [WatchedColumn(PREDICTION, PREDICTION, "number", "prediction")]
    scores = [SCORE] if problem == "binary" else [name_score(value) for value in classes]
    return [
        WatchedColumn(PREDICTION, PREDICTION, "level", "prediction"),
        *(WatchedColumn(name, name, "number", "prediction") for name in scores),
    ]


def name_score(value: Any) -> str:
    """Return the name of the column with a class's probability."""
    return f"(score of {value})"


class ColumnUnreadable(ValueError):  # noqa: N818
    """A column's stored type has another meaning than what is watched; the message names it."""


def read_numbers(
    column: WatchedColumn,
    cells: pa.ChunkedArray,
    origin: pa.ChunkedArray | None = None,
    vocabulary: Collection[str] = frozenset(),
) -> NDArray[np.float64]:
    """Return a watched column's numbers, shape (n,); NaN for nulls, NaN and infinite numbers.

    `origin` has the moments to which an age is counted, `vocabulary` the reference's words.

    Raises:
        ColumnUnreadable: the cells have another type, or an age has no origin.
    """
    cells = _decode(cells)
    if column.form == "number":
        return _read_plain(cells)
    if column.form in TEXT_FORMS:
        _require(cells, "text", is_text(cells.type))
        return measure_texts(cells, column.form == "length", vocabulary)
    moments = _read_moments(cells)
    if column.form == "age":
        if origin is None:
            raise ColumnUnreadable(f"the rows have no column '{column.origin}' to count ages to")
        return (_read_moments(_decode(origin)) - moments) / DAY
    place = ("month", "weekday", "hour").index(column.form)
    parts = split_moments(moments, "calendar", 0.0)[:, (0, 2, 3)]
    return np.asarray(np.floor(parts[:, place]))


def read_levels(cells: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64], int]:
    """Return the distinct values of a column as names, the rows of each, and the nulls.

    Numbers are named in their shortest form, so that 1, 1.0 and the text `1` are one level;
    booleans are `true` and `false`. NaN and infinite numbers are null.

    Raises:
        ColumnUnreadable: the cells are neither text, numbers nor booleans.
    """
    return sum_levels(*encode_levels(cells))


def sum_levels(
    codes: NDArray[np.int64], names: list[str], mask: NDArray[np.bool_] | None = None
) -> tuple[list[str], NDArray[np.int64], int]:
    """Return the levels of rows, or of those in a mask, as `read_levels` does."""
    codes = codes if mask is None else codes[mask]
    known = codes[codes >= 0]
    counts = np.bincount(known, minlength=len(names)).astype(np.int64)
    seen = np.flatnonzero(counts)
    return [names[at] for at in seen.tolist()], counts[seen], len(codes) - len(known)


def encode_levels(cells: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """Return each row's place among the names of levels, -1 for null, and these names.

    Raises:
        ColumnUnreadable: the cells are neither text, numbers nor booleans.
    """
    found = cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type
    if is_text(found):
        encoded = cells.combine_chunks()
        if not pa.types.is_dictionary(encoded.type):
            encoded = encoded.cast(pa.string()).dictionary_encode()
        codes = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
        return np.asarray(codes), encoded.dictionary.cast(pa.string()).to_pylist()
    if pa.types.is_boolean(found):
        numbers = _decode(cells).cast(pa.int8())
        codes = pc.fill_null(numbers, -1).to_numpy().astype(np.int64)
        return codes, ["false", "true"]
    values = _read_plain(_decode(cells))
    known = ~np.isnan(values)
    distinct, places = np.unique(values[known], return_inverse=True)
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[known] = places
    return codes, [name_number(value) for value in distinct.tolist()]


def is_text(found: pa.DataType) -> bool:
    """Return whether a stored type is text, dictionaries aside."""
    types = pa.types
    return bool(
        types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    )


def _decode(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    return cells.cast(cells.type.value_type) if pa.types.is_dictionary(cells.type) else cells


def _read_plain(cells: pa.ChunkedArray) -> NDArray[np.float64]:
    types, found = pa.types, cells.type
    if types.is_boolean(found):
        cells = cells.cast(pa.int8())
    readable = types.is_integer(found) or types.is_floating(found) or types.is_decimal(found)
    _require(cells, "numbers", readable or types.is_boolean(found) or types.is_null(found))
    values = np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    return values if np.isfinite(values).all() else np.where(np.isfinite(values), values, np.nan)


def _read_moments(cells: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return seconds since 1970 (UTC) of timestamps, dates or ISO texts; NaN for nulls."""
    from sluice.models.encoders.dates import read_moments

    types, found = pa.types, cells.type
    if types.is_null(found):
        return np.full(len(cells), np.nan)
    if types.is_date(found):
        cells = cells.cast(pa.timestamp("us"))
    readable = types.is_timestamp(found) or types.is_date(found) or is_text(found)
    _require(cells, "times", readable)
    return read_moments(cells.to_pandas())


def _require(cells: pa.ChunkedArray, wanted: str, holds: bool) -> None:
    if not holds and not pa.types.is_null(cells.type):
        raise ColumnUnreadable(f"found {cells.type}, allowed: {wanted}")
