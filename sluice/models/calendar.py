"""Moments as numbers of a calendar, in UTC: for training, for many rows and for one row alike.

Sines and cosines come from tables, so that every way computes the same numbers to the last bit.
"""

from datetime import UTC, date, datetime, timedelta
from math import cos, pi, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

PARTS = (
    *("month", "day", "weekday", "hour"),
    *("month_sin", "month_cos", "weekday_sin", "weekday_cos", "hour_sin", "hour_cos"),
)
"""What comes back: month (1 to 12), day (1 to 31), weekday (0 is Monday), hour with its fraction,
and the places of month, weekday and whole hour on a circle."""
SPANS = ("year", "age")
"""What does not come back: the year, and the days from the moment to a reference."""
NAMES = {"calendar": PARTS, "date": (*PARTS, *SPANS)}
"""The numbers of each encoding, in their order."""
DAY = 86_400.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FIRST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
"""Microseconds that have a calendar; a moment outside them is taken for the nearest inside."""
NAN = float("nan")
THURSDAY = 3
"""The weekday of 1970-01-01."""


def _make_circle(places: int) -> list[tuple[float, float]]:
    return [(sin(2 * pi * at / places), cos(2 * pi * at / places)) for at in range(places)]


MONTHS, WEEKDAYS, HOURS = _make_circle(12), _make_circle(7), _make_circle(24)


def read_moment(value: Any) -> float:
    """Return seconds since 1970 (UTC), to the microsecond, of a time or of an ISO 8601 text.

    NaN for a null and for a text of another form; without a zone it is UTC.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return NAN
    if type(value) is date:
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime) or value != value:  # noqa: PLR0124 - NaT differs from itself
        return NAN
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        return ((aware - EPOCH) // MICROSECOND) / 1e6
    except OverflowError:
        return NAN


def split_moments(
    seconds: NDArray[np.float64], encoding: str, reference: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return the numbers of an encoding for seconds since 1970, shape (n, numbers).

    `reference` is the moment, in seconds, to which ages are counted. A null's numbers are NaN.
    """
    is_null = np.isnan(seconds)
    rounded = np.round(np.where(is_null, 0.0, seconds) * 1e6).astype(np.int64)
    micros = np.clip(rounded, FIRST, LAST)
    moments = micros.astype("datetime64[us]")
    days, months = moments.astype("datetime64[D]"), moments.astype("datetime64[M]")
    month = months.astype(np.int64) % 12
    day = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    weekday = (days.astype(np.int64) + THURSDAY) % 7
    hour = (moments - days).astype(np.int64) / 3.6e9
    circles = [
        np.array(table)[place]
        for table, place in ((MONTHS, month), (WEEKDAYS, weekday), (HOURS, hour.astype(np.int64)))
    ]
    columns = [month + 1, day, weekday, hour, *(side for pair in circles for side in pair.T)]
    if encoding == "date":
        columns += [months.astype(np.int64) // 12 + 1970, (reference - seconds) / DAY]
    found = np.column_stack(columns).astype(np.float64)
    found[is_null] = NAN
    return found


def split_moment(seconds: float, encoding: str, reference: float) -> list[float]:
    """Return the numbers of one moment, equal to those of `split_moments`."""
    if seconds != seconds:  # noqa: PLR0124 - NaN differs from itself
        return [NAN] * len(NAMES[encoding])
    micros = min(max(round(seconds * 1e6), FIRST), LAST)
    moment = EPOCH + timedelta(microseconds=micros)
    month, weekday = moment.month - 1, moment.weekday()
    hour = (micros % 86_400_000_000) / 3.6e9
    found = [float(month + 1), float(moment.day), float(weekday), hour]
    found += (*MONTHS[month], *WEEKDAYS[weekday], *HOURS[int(hour)])
    if encoding == "date":
        found += (float(moment.year), (reference - seconds) / DAY)
    return found
