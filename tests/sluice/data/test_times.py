"""Times of one form become moments by one rule, and what is no time is marked."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.config.reading import ISO
from sluice.data.times import localize_moment, localize_times, read_times

BERLIN = "Europe/Berlin"


def read(texts: list[str | None], form: str = ISO, zone: str = "UTC") -> list[datetime | None]:
    found = read_times(pa.chunked_array([pa.array(texts, pa.string())]), form, zone)
    moments = found.moments.to_pylist()
    bad = [text is not None and moment is None for text, moment in zip(texts, moments, strict=True)]
    assert found.bad.to_pylist() == bad
    return moments


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01", utc(2024, 5, 1)),
        ("2024-05-01 12:30", utc(2024, 5, 1, 12, 30)),
        ("2024-05-01T12:30:15.123456789Z", utc(2024, 5, 1, 12, 30, 15, 123456)),
        ("2024-05-01 12:30 +02:00", utc(2024, 5, 1, 10, 30)),
        ("2024-05-01T12:30:00+0200", utc(2024, 5, 1, 10, 30)),
        ("2024-05-01T12:30:00z", utc(2024, 5, 1, 12, 30)),
        ("9999-12-31", utc(9999, 12, 31)),
        ("1677-01-01", utc(1677, 1, 1)),
    ],
)
def test_iso_times_are_read(text: str, moment: datetime) -> None:
    assert read([text, None]) == [moment, None]
    assert read([text, "2024-01-01 00:00Z", "2024-01-01"])[0] == moment


@pytest.mark.parametrize(
    "text",
    [
        "unknown", "2024-02-30", "2024-13-01", "2024-05-01 25:00", "2024", "20240501", "05/01/2024",
        "2024-05-01 12", "0001-01-01T00:00:00+14:00", "1714564800", "",
    ],
)  # fmt: skip
def test_what_is_no_iso_time_is_marked_and_its_neighbours_stay(text: str) -> None:
    assert read(["2024-05-01", text, "2024-05-02T00:00:00Z"]) == [
        utc(2024, 5, 1), None, utc(2024, 5, 2),
    ]  # fmt: skip


def test_moments_without_a_zone_are_in_the_configured_one() -> None:
    texts: list[str | None] = ["2024-05-01", "2024-05-01 00:00Z", "2024-01-01 12:00"]
    assert read(texts, zone=BERLIN) == [utc(2024, 4, 30, 22), utc(2024, 5, 1), utc(2024, 1, 1, 11)]


def test_clocks_that_are_set_forward_and_back() -> None:
    found = read(["2024-03-31 02:30", "2024-10-27 02:30"], zone=BERLIN)
    assert found == [None, utc(2024, 10, 27, 0, 30)]
    with pytest.raises(ValueError, match="clocks in Europe/Berlin skip it"):
        localize_moment(datetime(2024, 3, 31, 2, 30), BERLIN)


@pytest.mark.parametrize(
    ("form", "text", "moment"),
    [
        ("%d.%m.%Y", "3.2.2024", utc(2024, 2, 3)),
        ("%m/%d/%Y %I:%M %p", "02/03/2024 1:05 PM", utc(2024, 2, 3, 13, 5)),
        ("%d %b %Y", "03 Feb 2024", utc(2024, 2, 3)),
        ("%d.%m.%y", "03.02.24", utc(2024, 2, 3)),
    ],
)
def test_other_forms_are_read(form: str, text: str, moment: datetime) -> None:
    assert read([text], form) == [moment]


@pytest.mark.parametrize("text", ["31.02.2024", "3.2.24", "2024-02-03", "32.01.2024", "3.2.2024 x"])
def test_what_is_not_of_the_form_is_marked(text: str) -> None:
    assert read([text, "1.1.2024"], "%d.%m.%Y") == [None, utc(2024, 1, 1)]


@given(
    st.datetimes(datetime(1850, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from(["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_text_stored_times_and_single_moments_have_one_rule(naive: datetime, zone: str) -> None:
    text = read_times(pa.chunked_array([[naive.isoformat(sep=" ")]]), ISO, zone)
    stored = localize_times(pa.chunked_array([pa.array([naive], pa.timestamp("us"))]), zone)
    assert text.moments.equals(stored.moments)
    moment = stored.moments[0].as_py()
    if moment is None:
        with pytest.raises(ValueError, match="skip it"):
            localize_moment(naive, zone)
    else:
        assert moment == localize_moment(naive, zone)
        shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert abs(shown - naive) < timedelta(microseconds=1)


def test_stored_nanoseconds_and_dates_are_moments() -> None:
    stored = pa.chunked_array([pa.array([1_000_000_001, None], pa.timestamp("ns"))])
    assert localize_times(stored, "UTC").moments.to_pylist() == [utc(1970, 1, 1, 0, 0, 1), None]
    days = pa.chunked_array([pa.array([0], pa.date32())])
    assert localize_times(days, BERLIN).moments.to_pylist() == [utc(1969, 12, 31, 23)]


@pytest.mark.parametrize("form", [ISO, "%d.%m.%Y"])
def test_chunks_are_read_as_one_column(form: str) -> None:
    texts = ["2050-05-01", "2024-05-01 10:00Z", "x", "2024-05-01"]
    if form != ISO:
        texts = ["1.5.2050", "1.5.2024", "x", "31.2.2024"]
    whole = pa.chunked_array([texts])
    parts = pa.chunked_array([texts[:1], texts[1:3], [], texts[3:]], pa.string())
    found = [read_times(column, form, BERLIN) for column in (whole, parts)]
    assert found[0].moments.equals(found[1].moments)
    assert found[0].bad.equals(found[1].bad)
