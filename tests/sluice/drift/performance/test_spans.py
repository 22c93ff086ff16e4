"""Spans of hours with enough answers depend on the log alone."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sluice.drift.performance.estimated import HOUR, form_spans

AT = datetime(2026, 1, 1, tzinfo=UTC)
LATER = AT + timedelta(days=9)


def hours(*counts: int) -> dict[datetime, int]:
    return {AT + place * HOUR: count for place, count in enumerate(counts) if count}


def test_hour_with_enough_answers_is_a_span() -> None:
    assert form_spans(hours(500, 700), LATER) == [(AT, AT + HOUR), (AT + HOUR, AT + 2 * HOUR)]


def test_few_answers_wait_for_the_next_hours() -> None:
    assert form_spans(hours(300, 0, 150, 60, 499), LATER) == [(AT, AT + 4 * HOUR)]


def test_hour_that_is_not_over_waits() -> None:
    assert form_spans(hours(500, 500), AT + timedelta(minutes=90)) == [(AT, AT + HOUR)]
    assert form_spans({}, LATER) == []


@given(st.lists(st.integers(0, 900), max_size=12), st.integers(0, 12))
def test_two_looks_find_what_one_look_finds(counts: list[int], cut: int) -> None:
    found = hours(*counts)
    first = form_spans(found, AT + cut * HOUR)
    start = first[-1][1] if first else AT
    rest = {hour: count for hour, count in found.items() if hour >= start}
    assert [*first, *form_spans(rest, LATER)] == form_spans(found, LATER)
