"""The split into training rows and held-out rows: a row never changes its side."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from sluice.config.data import ColumnKind, DataConfig, SplitConfig
from sluice.data.recent import mark_newest
from sluice.errors import DataInvalid, TrainingImpossible

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

HASH_RANGE = 2**64


@dataclass(frozen=True, eq=False)
class Split:
    """A split of rows: `holdout` has shape (n,) and is true where a row is held out.

    `configured_share` is the configured share of held-out rows, 0 to 1. `boundary` is the first
    time value that is held out, where rows are split by time. `old` is true where a row is too old
    for `split.recent`, so that no model learns from it; None where that is not set.
    """

    holdout: NDArray[np.bool_]
    by: str
    configured_share: float
    boundary: str = ""
    old: NDArray[np.bool_] | None = None

    @property
    def training(self) -> NDArray[np.bool_]:
        """The training rows as a mask, shape (n,)."""
        return ~self.holdout if self.old is None else ~self.holdout & ~self.old

    @property
    def training_rows(self) -> int:
        """The number of training rows."""
        return int(self.training.sum())

    @property
    def holdout_rows(self) -> int:
        """The number of held-out rows."""
        return int(self.holdout.sum())

    @property
    def share(self) -> float:
        """The realised share of held-out rows, 0 to 1."""
        return self.holdout_rows / len(self.holdout)


def split_rows(frame: "pd.DataFrame", data: DataConfig, split: SplitConfig) -> Split:
    """Split rows into training rows and held-out rows.

    `hash`: a row is held out when the seeded hash of its id (or group) is below the share, so that
    its side depends on nothing else and never changes when rows are added. `time`: the rows with
    the newest time values are held out. Rows of one time value stay together, so the realised share
    may differ from the configured one; a whole group is on the side of its newest row. With
    `folds` the model trains on every row, and no row is held out (`sluice/data/folds.py`). With
    `recent` the older ones of the training rows are on neither side.

    Raises:
        DataInvalid: a needed column is absent or has nulls.
        TrainingImpossible: there are no rows, or one side would have none.
    """
    if frame.empty:
        raise TrainingImpossible("there are no rows to split; ingest data first")
    if split.folds:
        return Split(np.zeros(len(frame), dtype=np.bool_), split.by, 0.0)
    by_time = split.by == "time"
    found = (_split_by_time if by_time else _split_by_hash)(frame, data, split)
    return _leave_out_old(found, frame, data, split) if split.recent else found


def _leave_out_old(
    found: Split, frame: "pd.DataFrame", data: DataConfig, split: SplitConfig
) -> Split:
    """Leave the training rows that are older than `split.recent` out of the training."""
    times = read_split_column(frame, data.time)
    newest = mark_newest(split.recent, times[found.training], times)
    if newest.n == 0:
        raise TrainingImpossible(
            f"split.recent is `{split.recent}`, and no training row is so new; let it be longer, "
            "or ingest newer rows"
        )
    old = ~found.holdout
    old[found.training] = ~newest.mask
    return replace(found, old=old)


def comparison_mask(
    split: Split, ids: NDArray[Any], champion_training_ids: NDArray[Any] | None
) -> NDArray[np.bool_]:
    """Return a mask of the compared rows: held out, and the champion never trained on them.

    `ids` has shape (n,), aligned with the split. Without a champion every held-out row is compared.

    Raises:
        DataInvalid: the two sets of ids are of different kinds, so that none could ever match.
    """
    if champion_training_ids is None or len(champion_training_ids) == 0:
        return split.holdout.copy()
    import pandas as pd

    here, there = pd.Series(ids), pd.Series(champion_training_ids)
    kinds = [_describe_kind(values) for values in (here, there)]
    if kinds[0] != kinds[1]:
        raise DataInvalid(
            f"ids are {kinds[0]} here and {kinds[1]} in the champion's training rows: it is "
            "unknown which rows it was trained on; ingest both with the same type of id"
        )
    return split.holdout & ~here.isin(there).to_numpy()


def hash_rows(frame: "pd.DataFrame", data: DataConfig, split: SplitConfig) -> Iterator[int]:
    """Yield the seeded hash of each row's id, or of its group: 0 to 2^64 - 1.

    Raises:
        DataInvalid: the column is absent or has nulls.
    """
    column = split.group or data.id
    keys = _encode_values(read_split_column(frame, column), data.columns[column])
    return (xxhash.xxh3_64_intdigest(key, seed=split.seed) for key in keys)


def _split_by_hash(frame: "pd.DataFrame", data: DataConfig, split: SplitConfig) -> Split:
    limit = int(split.holdout * HASH_RANGE)
    drawn = (value < limit for value in hash_rows(frame, data, split))
    holdout = np.fromiter(drawn, dtype=np.bool_, count=len(frame))
    if holdout.all() or not holdout.any():
        side = "training" if holdout.all() else "held-out"
        column = split.group or data.id
        values = frame[column]
        raise TrainingImpossible(
            f"the split by '{column}' leaves no {side} rows: {values.nunique():,} distinct "
            f"values in {len(values):,} rows at a share of {split.holdout}; bring more rows"
        )
    return Split(holdout, "hash", split.holdout)


def _split_by_time(frame: "pd.DataFrame", data: DataConfig, split: SplitConfig) -> Split:
    times = read_split_column(frame, data.time)
    if split.group:
        times = times.groupby(read_split_column(frame, split.group).to_numpy()).transform("max")
    sizes = times.value_counts().sort_index(ascending=False)
    if len(sizes) < 2:
        raise TrainingImpossible(
            f"split.by is `time`, but '{data.time}' has one value only ({sizes.index[0]}); "
            "ingest another period, or set split.by to `hash`"
        )
    shares = sizes.cumsum().to_numpy()[:-1] / len(times)
    boundary = sizes.index[int(np.abs(shares - split.holdout).argmin())]
    holdout = (times >= boundary).to_numpy(dtype=np.bool_)
    return Split(holdout, "time", split.holdout, str(boundary))


def read_split_column(frame: "pd.DataFrame", column: str) -> "pd.Series[Any]":
    """Return a column that a split depends on.

    Raises:
        DataInvalid: it is absent or has nulls.
    """
    if column not in frame.columns:
        raise DataInvalid(f"the split needs column '{column}', which the rows do not have")
    values = frame[column]
    empty = int(values.isna().sum())
    if empty:
        raise DataInvalid(
            f"the split needs column '{column}', which is null in {empty:,} of {len(values):,} "
            "rows: a row without it cannot be split; fill it or drop those rows"
        )
    return values


def _encode_values(values: "pd.Series[Any]", kind: ColumnKind) -> list[bytes]:
    """Return each value's canonical bytes, tagged by kind: the same for every storage type."""
    if kind == "integer":
        return [b"i%d" % int(value) for value in values.tolist()]
    if kind == "number":
        return [b"n" + float(value).hex().encode() for value in values.tolist()]
    if kind == "boolean":
        return [b"b%d" % bool(value) for value in values.tolist()]
    if kind == "timestamp":
        moments = values.to_numpy(dtype="datetime64[ns]").astype(np.int64)
        return [b"d%d" % moment for moment in moments.tolist()]
    return [b"t" + str(value).encode() for value in values.tolist()]


def _describe_kind(values: "pd.Series[Any]") -> str:
    import pandas as pd

    found = pd.api.types.infer_dtype(values, skipna=True)
    return "number" if found in ("integer", "floating", "mixed-integer-float") else found


def keep_types(frame: "pd.DataFrame", table: "pa.Table") -> "pd.DataFrame":
    """Return rows with the types of the whole table, which nulls in other rows decide."""
    import pyarrow as pa

    changed: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not column.null_count or frame[name].isna().any():
            continue
        if pa.types.is_integer(column.type):
            changed[name] = "float64"
        elif pa.types.is_boolean(column.type):
            changed[name] = "object"
    return frame.astype(changed) if changed else frame
