"""The newest of the held-out rows, which `evaluation.recent` lets decide alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.evaluation import EvaluationConfig, read_span

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class RecentRows:
    """The held-out rows that decide: `mask` has shape (n,) and is true for each of them.

    `since` is the first time that counts as new, as text; empty where no held-out row has a time.
    """

    mask: NDArray[np.bool_]
    since: str

    @property
    def n(self) -> int:
        """The number of rows that decide."""
        return int(self.mask.sum())


def mark_recent(
    config: EvaluationConfig, times: "pd.Series[Any]", every: "pd.Series[Any]"
) -> RecentRows | None:
    """Mark the newest held-out rows; None where `evaluation.recent` is not set.

    `times` are those of the held-out rows, shape (n,); `every` those of all rows of the data
    version, whose newest one is where a time is counted back from. Of a number of rows it marks at
    least so many, where there are so many, because rows of one time stay together. A row without a
    time is not new.
    """
    return mark_newest(config.recent, times, every) if config.recent else None


def mark_newest(recent: str | int, times: "pd.Series[Any]", every: "pd.Series[Any]") -> RecentRows:
    """Mark the newest of some rows: those of a time such as `90 d`, or a number of rows.

    `times` are those of the rows that can be marked, shape (n,); a time is counted back from the
    newest of `every`.
    """
    seconds = read_span(recent)
    if seconds is not None:
        return _mark_since(times, every.max() - np.timedelta64(int(seconds), "s"))
    known = times.dropna().sort_values(ascending=False)
    last = min(int(recent), len(known)) - 1
    return _mark_since(times, known.iloc[last] if len(known) else None)


def _mark_since(times: "pd.Series[Any]", first: Any) -> RecentRows:
    if first is None or first != first:  # noqa: PLR0124 - only NaN and NaT are
        return RecentRows(np.zeros(len(times), dtype=np.bool_), "")
    mask = (times >= first).fillna(False).to_numpy(dtype=np.bool_)
    return RecentRows(mask, str(first))
