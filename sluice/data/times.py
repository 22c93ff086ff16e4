"""Times as text or without a zone, converted to moments in UTC; what is none is marked."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.reading import ISO

MOMENT = pa.timestamp("us", tz="UTC")
NAIVE = pa.timestamp("us")
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
FIRST_KNOWN, FIRST_UNKNOWN = datetime(1902, 1, 1), datetime(2037, 1, 1)
"""Years whose changes of clocks Arrow knows; it has no rule for those behind them."""
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
ISO_FORM = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|z|[+-]\d{2}(:?\d{2})?))?)?$"
ZONED = r":\d{2}(\.\d+)? ?(Z|z|[+-]\d{2}(:?\d{2})?)$"
WIDTHS = {
    "Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{1,2}", "d": r"\d{1,2}", "e": r"\d{1,2}",
    "H": r"\d{1,2}", "I": r"\d{1,2}", "M": r"\d{2}", "S": r"\d{2}", "j": r"\d{1,3}",
    "b": r"[A-Za-z]{3,}\.?", "B": r"[A-Za-z]{3,}", "p": r"[AaPp][Mm]", "%": "%",
}  # fmt: skip
"""Pattern of what each directive reads: strptime alone takes a year of one digit."""


@dataclass(frozen=True, eq=False)
class ReadTimes:
    """Moments in UTC, null where there is none; `bad` marks the cells that are no time."""

    moments: pa.ChunkedArray
    bad: pa.ChunkedArray


def read_times(cells: pa.ChunkedArray, form: str, zone: str) -> ReadTimes:
    """Return the moments of trimmed text cells in one form; cells without a zone are in `zone`.

    Where clocks are set back, the earlier of two moments is taken. A time that clocks skip is bad.
    Fractions below a microsecond are cut off.
    """
    if form != ISO:
        return _localize(_parse_form(cells, form), cells, zone)
    fits = pc.fill_null(pc.match_substring_regex(cells, ISO_FORM), False)
    zoned = pc.and_(fits, pc.fill_null(pc.match_substring_regex(cells, ZONED), False))
    plain = _shorten(pc.if_else(fits, cells, pa.scalar(None, pa.string())))
    if not pc.any(zoned).as_py():
        return _localize(_cast(plain, NAIVE), cells, zone)
    aware = _cast(pc.if_else(zoned, plain, pa.scalar(None, pa.string())), MOMENT)
    if pc.all(pc.or_(zoned, pc.is_null(plain))).as_py():
        return _mark_lost(aware, cells)
    rest = pc.if_else(zoned, pa.scalar(None, pa.string()), plain)
    naive = _localize(_cast(rest, NAIVE), rest, zone).moments
    moments = pc.if_else(zoned, aware, naive)
    return _mark_lost(moments, cells)


def localize_times(column: pa.ChunkedArray, zone: str) -> ReadTimes:
    """Return a column of stored timestamps or dates as moments in UTC.

    Those without a zone are in `zone`; nanoseconds are cut off to microseconds.
    """
    kept = column
    if pa.types.is_date(column.type):
        column = column.cast(pa.date32()).cast(NAIVE)
    if column.type.tz is None:
        return _localize(_cut_to_microseconds(column, NAIVE), kept, zone)
    moments = _cut_to_microseconds(column, pa.timestamp("us", tz=column.type.tz)).cast(MOMENT)
    return _mark_lost(moments, kept)


def localize_moment(value: datetime, zone: str) -> datetime:
    """Return one moment in UTC; without a zone it is in `zone`.

    Raises:
        ValueError: clocks of the zone skip it.
    """
    if value.tzinfo is not None:
        return value.astimezone(UTC)
    if zone == "UTC":
        return value.replace(tzinfo=UTC)
    there = ZoneInfo(zone)
    moment = value.replace(tzinfo=there).astimezone(UTC)
    if moment.astimezone(there).replace(tzinfo=None, fold=0) != value.replace(fold=0):
        raise ValueError(f"clocks in {zone} skip it")
    return moment


def _cut_to_microseconds(column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if column.type.unit != "ns":
        return column.cast(target)
    return pc.floor_temporal(column, unit="microsecond").cast(target)


def _localize(naive: pa.ChunkedArray, found: pa.ChunkedArray, zone: str) -> ReadTimes:
    if zone == "UTC":
        return _mark_lost(naive.cast(MOMENT), found)
    inside = pc.and_(
        pc.greater_equal(naive, pa.scalar(FIRST_KNOWN, NAIVE)),
        pc.less(naive, pa.scalar(FIRST_UNKNOWN, NAIVE)),
    )
    known = pc.if_else(inside, naive, pa.scalar(None, NAIVE))
    there = pc.assume_timezone(known, zone, ambiguous="earliest", nonexistent="earliest")
    exists = pc.equal(pc.local_timestamp(there), known)
    moments = pc.if_else(exists, there.cast(MOMENT), pa.scalar(None, MOMENT))
    if pc.any(pc.invert(inside)).as_py():
        others = pc.if_else(inside, pa.scalar(None, NAIVE), naive).to_pylist()
        moments = pc.coalesce(
            moments, pa.array([_try_moment(item, zone) for item in others], MOMENT)
        )
    return _mark_lost(moments, found)


def _try_moment(value: datetime | None, zone: str) -> datetime | None:
    try:
        return None if value is None else localize_moment(value, zone)
    except (ValueError, OverflowError):
        return None


def _mark_lost(moments: pa.ChunkedArray, found: pa.ChunkedArray) -> ReadTimes:
    """Return the moments that Python knows too, and mark the cells that gave none."""
    known = pc.and_(
        pc.greater_equal(moments, pa.scalar(EARLIEST, MOMENT)),
        pc.less_equal(moments, pa.scalar(LATEST, MOMENT)),
    )
    moments = pc.if_else(known, moments, pa.scalar(None, MOMENT))
    return ReadTimes(moments, pc.and_(pc.is_null(moments), pc.is_valid(found)))


def _shorten(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return ISO text as Arrow parses it: six digits of a second, no space before the zone."""
    cells = pc.replace_substring_regex(cells, r"(\.\d{6})\d+", r"\1")
    cells = pc.replace_substring_regex(cells, r" ?[Zz]$", "Z")
    return pc.replace_substring_regex(cells, r" ([+-][0-9:]+)$", r"\1")


def _cast(cells: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Return ISO text as times; one by one only where a date does not exist."""
    try:
        return cells.cast(target)
    except pa.ArrowInvalid:
        return pa.chunked_array([pa.array(map(_parse_iso, cells.to_pylist()), target)])


def _parse_iso(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
        return found if found is None or found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _parse_form(cells: pa.ChunkedArray, form: str) -> pa.ChunkedArray:
    pattern, nothing = _pattern_of(form), pa.scalar(None, pa.string())
    fits = pc.fill_null(pc.match_substring_regex(cells, pattern), False)
    found = pc.strptime(
        pc.if_else(fits, cells, nothing), format=form, unit="us", error_is_null=True
    ).cast(NAIVE)
    if "(?P<day>" not in pattern:
        return found
    # strptime takes 31 February for 2 March: the day must be the one that is written.
    days = pc.struct_field(pc.extract_regex(cells, pattern), "day").cast(pa.int64())
    same = pc.fill_null(pc.equal(days, pc.day(found)), False)
    return pc.if_else(same, found, pa.scalar(None, NAIVE))


def _pattern_of(form: str) -> str:
    pattern, *rest = re.split(r"%(.)", form)
    pattern = re.escape(pattern)
    for letter, text in zip(rest[::2], rest[1::2], strict=True):
        day = letter in "de" and "(?P<day>" not in pattern
        pattern += (f"(?P<day>{WIDTHS[letter]})" if day else WIDTHS[letter]) + re.escape(text)
    return f"^{pattern}$"
