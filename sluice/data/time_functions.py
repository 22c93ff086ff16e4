"""Columns that are functions of time: the month, the week, an index that grows, a day's figure.

Rows of a new month have values that the old rows never had. So a range of the old values, or a
comparison of distributions, would refuse every later batch.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

TimeKind = Literal["date part", "grows", "falls", "one value a day"]
MOMENTS = 20
"""Fewest different moments, or days, with which a column is recognised."""
AGREEMENT = 0.98
"""Least share of rows in which a date part agrees: it may be of another time zone."""
MOST = 0.5
"""Share of the rows with a less frequent part that have to agree."""
ROWS_A_DAY = 3.0
"""Fewest rows a day, on average, with which one value a day is no coincidence."""
DATE_PARTS: dict[str, tuple[int, int]] = {
    "month": (1, 12),
    "quarter": (1, 4),
    "week": (1, 53),
    "day": (1, 31),
    "dayofweek": (0, 6),
    "isoweekday": (1, 7),
    "dayofyear": (1, 366),
    "hour": (0, 23),
}
"""Parts of a date, and the range that their values have by definition."""


@dataclass(frozen=True)
class TimeFunction:
    """How a column follows the time; `bounds` are the range of a date part.

    `is_exact`: all rows of a day have the same value, so that late rows fit in as well. A counter
    of arrivals grows with time and is not exact.
    """

    column: str
    kind: TimeKind
    part: str = ""
    bounds: tuple[int, int] | None = None
    is_exact: bool = False

    @property
    def description(self) -> str:
        """How it follows the time, after its name in a sentence."""
        if self.kind == "date part":
            return f"is the {self.part} of the time"
        if self.kind == "one value a day":
            return "has one value a day"
        return f"{self.kind} with time"


def find_time_functions(
    frame: "pd.DataFrame", time: str, columns: tuple[str, ...]
) -> dict[str, TimeFunction]:
    """Return which of the columns are functions of the time column, by name.

    A date part agrees with the time in nearly every row. A column that grows or falls never steps
    back from one moment to the next. One value a day needs three rows a day on average.
    """
    if not time:
        return {}
    moments = read_moments(frame[time])
    others = (name for name in columns if name != time)
    found = (_recognise(frame[name], name, frame[time], moments) for name in others)
    return {item.column: item for item in found if item is not None}


def read_moments(values: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """Return times and texts such as 2026-01-31 as timestamps; None for numbers such as years."""
    import pandas as pd

    if values.dtype.kind == "M":
        return values
    if values.dtype.kind in "iuf" or str(values.dtype) == "Int64":
        return None
    moments = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
    return moments if moments.notna().all() else None


def count_back_steps(
    values: "pd.Series[Any]", time: "pd.Series[Any]", falling: bool = False
) -> tuple[int, int] | None:
    """Return how many steps from one moment to the next go back, and the number of moments.

    A step goes back where a value of the later moment is below one of the earlier moment (above,
    where `falling`). None with fewer than two moments that have values.
    """
    known = values.notna() & time.notna()
    groups = values[known].groupby(time[known].to_numpy(), sort=True)
    low, high = groups.min().to_numpy(), groups.max().to_numpy()
    if len(low) < 2:
        return None
    back = high[1:] > low[:-1] if falling else low[1:] < high[:-1]
    return int(np.asarray(back, dtype=bool).sum()), len(low)


def _recognise(
    values: "pd.Series[Any]",
    name: str,
    time: "pd.Series[Any]",
    moments: "pd.Series[Any] | None",
) -> TimeFunction | None:
    if values.nunique() < 2:
        return None
    is_daily = _is_daily(values, time if moments is None else moments.dt.floor("D"))
    if values.dtype.kind in "iuf" or str(values.dtype) == "Int64":
        part = _match_part(values, moments) if moments is not None else ""
        if part in DATE_PARTS:
            return TimeFunction(name, "date part", part, DATE_PARTS[part])
        if part == "year" or _is_steady(values, time, falling=False):
            return TimeFunction(name, "grows", part, is_exact=is_daily)
        if _is_steady(values, time, falling=True):
            return TimeFunction(name, "falls", is_exact=is_daily)
    return TimeFunction(name, "one value a day") if is_daily else None


def _is_steady(values: "pd.Series[Any]", time: "pd.Series[Any]", falling: bool) -> bool:
    """Return whether many values follow many moments without one step back."""
    steps = count_back_steps(values, time, falling)
    many = steps is not None and steps[1] >= MOMENTS and values.nunique() >= MOMENTS
    return many and steps is not None and steps[0] == 0


def _match_part(values: "pd.Series[Any]", moments: "pd.Series[Any]") -> str:
    """Return the name of the date part that the values are; empty: none."""
    known = values.notna() & moments.notna()
    if not known.any():
        return ""
    numbers, dates = values[known].to_numpy(dtype=float), moments[known].dt
    parts = {
        "year": dates.year,
        "month": dates.month,
        "quarter": dates.quarter,
        "week": dates.isocalendar().week,
        "day": dates.day,
        "dayofweek": dates.day_of_week,
        "isoweekday": dates.day_of_week + 1,
        "dayofyear": dates.day_of_year,
        "hour": dates.hour,
    }
    for part, expected in parts.items():
        if _agrees(numbers, expected.to_numpy(dtype=float)):
            return part
    return ""


def _agrees(numbers: NDArray[np.float64], expected: NDArray[np.float64]) -> bool:
    """Return whether values are those of a date part that varies.

    A part that is nearly always the same, such as the hour of dates, agrees with every column of
    nearly as many zeros; so most rows with another part have to agree as well.
    """
    equal = numbers == expected
    parts, places = np.unique(expected, return_inverse=True)
    rare = places != np.bincount(places).argmax()
    return bool(len(parts) > 1 and equal.mean() >= AGREEMENT and equal[rare].mean() > MOST)


def _is_daily(values: "pd.Series[Any]", days: "pd.Series[Any]") -> bool:
    """Return whether many rows of many days have one value a day."""
    known = values.notna() & days.notna()
    by_day = values[known].groupby(days[known].to_numpy())
    enough = by_day.ngroups >= MOMENTS and known.sum() >= ROWS_A_DAY * by_day.ngroups
    return bool(enough and (by_day.nunique() == 1).all())
