"""Folds of a cross-validation: a row is evaluated by a model that was fitted without its fold.

By hash each row (or group) has its fold for ever. By time the rows are cut into one block more than
folds; each block after the first is a fold, whose model is fitted on older rows only.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig, SplitConfig
from sluice.data.split import HASH_RANGE, hash_rows, read_split_column
from sluice.errors import TrainingImpossible

if TYPE_CHECKING:
    import pandas as pd

NEVER = -1
"""The fold of the oldest rows, which train every model and are evaluated by none."""


@dataclass(frozen=True, eq=False)
class Folds:
    """The fold of each row, shape (n,), from 0; `NEVER` where a row is only trained on.

    `boundaries` are the first time values of the folds, oldest first; empty where folds follow a
    hash.
    """

    numbers: NDArray[np.int64]
    split: SplitConfig
    boundaries: tuple[Any, ...] = ()

    @property
    def evaluated(self) -> NDArray[np.bool_]:
        """The rows that some fold evaluates, as a mask, shape (n,)."""
        return np.asarray(self.numbers != NEVER)


def assign_folds(frame: "pd.DataFrame", data: DataConfig, split: SplitConfig) -> Folds:
    """Return the fold of each row; a group is in one fold whole, that of its newest row by time.

    Raises:
        DataInvalid: a needed column is absent or has nulls.
        TrainingImpossible: a fold would have no row.
    """
    if split.by == "time":
        folds = _assign_by_time(frame, data, split)
    else:
        numbers = np.array(
            [drawn * split.folds // HASH_RANGE for drawn in hash_rows(frame, data, split)],
            dtype=np.int64,
        )
        folds = Folds(numbers, split)
    empty = [fold for fold in range(split.folds) if not (folds.numbers == fold).any()]
    if empty:
        raise TrainingImpossible(
            f"fold {empty[0] + 1} of split.folds: {split.folds} has none of the {len(frame):,} "
            "rows; bring more rows, or use fewer folds"
        )
    return folds


def mark_training(
    folds: Folds,
    fold: int,
    frame: "pd.DataFrame",
    others: "pd.DataFrame",
    data: DataConfig,
) -> NDArray[np.bool_]:
    """Return which of `others` may train the model that evaluates a fold of `frame`.

    `others` may be another version of the table. A row of the fold, or of a group in the fold, is
    never among them; by time only older rows are.
    """
    held_out = folds.numbers == fold
    keys = {data.id, *filter(None, (folds.split.group,))}
    outside = np.ones(len(others), dtype=np.bool_)
    for key in keys:
        outside &= ~others[key].isin(frame.loc[held_out, key]).to_numpy()
    if folds.split.by == "time":
        older = read_split_column(others, data.time) < folds.boundaries[fold]
        outside &= older.to_numpy(dtype=np.bool_)
    return outside


def _assign_by_time(frame: "pd.DataFrame", data: DataConfig, split: SplitConfig) -> Folds:
    times = read_split_column(frame, data.time)
    if split.group:
        groups = read_split_column(frame, split.group).to_numpy()
        times = times.groupby(groups).transform("max")
    sizes = times.value_counts().sort_index()
    if len(sizes) <= split.folds:
        raise TrainingImpossible(
            f"split.folds is {split.folds} and split.by is `time`, but '{data.time}' has "
            f"{len(sizes)} different values; more than {split.folds} are needed"
        )
    shares = sizes.cumsum().to_numpy() / len(times)
    starts, last = [], 0
    for fold in range(split.folds):
        wanted = (fold + 1) / (split.folds + 1)
        least, most = last + 1, len(sizes) - split.folds + fold
        near = int(np.abs(shares - wanted).argmin()) + 1
        last = min(max(near, least), most)
        starts.append(sizes.index[last])
    numbers = np.full(len(frame), NEVER, dtype=np.int64)
    for fold, start in enumerate(starts):
        numbers[(times >= start).to_numpy(dtype=np.bool_)] = fold
    return Folds(numbers, split, tuple(starts))
