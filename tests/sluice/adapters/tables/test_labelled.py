"""Labelled traffic is read in the order of the labels, each answer once."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.log.records import Feedback
from sluice.adapters.traffic.labelled import (
    LabelledChunk,
    LabelPosition,
    LabelSource,
    read_labelled,
    read_version,
)
from sluice.adapters.traffic.log import sample_answers
from sluice.home import Home
from support.gateway.records import AT
from support.labelled import after, answer, feedback, list_ids, log_records

HOUR = 3_600.0
BEGINNING = LabelPosition()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def read(
    home: Home,
    position: LabelPosition = BEGINNING,
    until: float = 1e6,
    maturity: float = 0.0,
    rows: int = 100,
) -> list[LabelledChunk]:
    source = LabelSource(
        "employment", home.answers("employment"), home.feedback, timedelta(seconds=maturity)
    )
    return list(read_labelled(source, position, after(until), rows))


def labels_of(chunks: list[LabelledChunk]) -> list[object]:
    return [json.loads(one) for chunk in chunks for one in chunk.table["label"].to_pylist()]


def test_no_log_has_no_labelled_answers(home: Home) -> None:
    assert read(home) == []


def test_answers_come_in_the_order_of_their_labels(home: Home) -> None:
    log_records(home, *(answer(number) for number in range(4)))
    log_records(home, feedback(2, 1, 5), feedback(0, 1, 9), feedback(3, 0, 7))
    assert list_ids(read(home)) == ["r2", "r3", "r0"]


def test_label_of_months_later_is_the_last_one(home: Home) -> None:
    log_records(home, answer(0), answer(1, seconds=50 * 24 * HOUR))
    log_records(home, feedback(1, 1, 51 * 24 * HOUR), feedback(0, 0, 90 * 24 * HOUR))
    assert list_ids(read(home, until=1e8)) == ["r1", "r0"]


def test_duplicates_come_once(home: Home) -> None:
    log_records(home, answer(0), answer(1))
    log_records(home, feedback(0, 1, 1), feedback(0, 1, 2), feedback(1, 0, 3), feedback(0, 1, HOUR))
    assert list_ids(read(home)) == ["r0", "r1"]
    assert list_ids(read(home, rows=1)) == ["r0", "r1"]


def test_correction_counts_within_its_maturity_only(home: Home) -> None:
    log_records(home, answer(0), answer(1))
    log_records(home, feedback(0, 1, 0), feedback(0, 0, 2 * HOUR), feedback(1, 1, 0))
    log_records(home, feedback(1, 0, 9 * HOUR))
    assert labels_of(read(home, maturity=3 * HOUR)) == [0, 1]
    assert labels_of(read(home)) == [1, 1]


def test_label_that_can_still_be_corrected_is_not_read(home: Home) -> None:
    log_records(home, answer(0), answer(1), feedback(0, 1, 0), feedback(1, 1, HOUR))
    assert list_ids(read(home, until=2 * HOUR, maturity=1.5 * HOUR)) == ["r0"]
    assert list_ids(read(home, until=3 * HOUR, maturity=1.5 * HOUR)) == ["r0", "r1"]


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_reading_goes_on_after_a_position(home: Home, rows: int) -> None:
    log_records(home, *(answer(number) for number in range(6)))
    log_records(home, *(feedback(number, 1, number // 2 * HOUR) for number in range(6)))
    position = LabelPosition(after(HOUR), "r2")
    assert list_ids(read(home, position, rows=rows)) == ["r3", "r4", "r5"]


def test_correction_in_a_later_hour_is_no_new_answer(home: Home) -> None:
    log_records(home, answer(0), feedback(0, 1, 0), feedback(0, 0, 2 * HOUR))
    assert list_ids(read(home, LabelPosition(after(HOUR)))) == []


def test_labels_of_unknown_requests_are_named(home: Home) -> None:
    log_records(home, answer(0), feedback(0, 1, 1), feedback("gone", 1, 2))
    log_records(home, feedback("elsewhere", 1, 3, service=""))
    [chunk] = read(home)
    assert (chunk.unknown, chunk.unnamed) == (("gone",), ("elsewhere",))
    assert list_ids([chunk]) == ["r0"]


def test_labels_of_another_service_are_not_read(home: Home) -> None:
    log_records(home, answer(0), feedback(0, 1, 1, service="arrivals"))
    assert [chunk.table.num_rows for chunk in read(home)] == []


def test_label_without_a_service_finds_its_answer(home: Home) -> None:
    log_records(home, answer(0), feedback(0, 1, 1, service=""))
    assert list_ids(read(home)) == ["r0"]


def test_id_that_was_answered_twice_stands_for_the_last_answer(home: Home) -> None:
    log_records(home, answer(0, version=3), answer(0, seconds=5, version=4), feedback(0, 1, 9))
    [chunk] = read(home)
    assert chunk.table["version"].to_pylist() == [4]


def test_rating_alone_is_no_label(home: Home) -> None:
    log_records(home, answer(0), Feedback("r0", AT + 1, rating=1.0, service="employment"))
    assert read(home) == []


def test_sample_of_answers_is_spread_over_its_span(home: Home) -> None:
    log_records(home, *(answer(number, seconds=number) for number in range(40)))
    log_records(home, *(answer(100 + number, seconds=number, version=4) for number in range(5)))
    uri = home.answers("employment")
    assert sample_answers(uri, 3, after(10), after(20)).num_rows == 10
    found = sample_answers(uri, 3, after(0), after(40), most=10)["request_id"].to_pylist()
    assert found == [f"r{number}" for number in range(0, 40, 4)]
    assert sample_answers(home.answers("nothing"), 3, after(0), after(1)).num_rows == 0


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A log of three hours with duplicate, corrected, late and reordered labels."""
    home, random = Home(tmp_path_factory.mktemp("long")), np.random.default_rng(0)
    numbers = random.integers(0, 60, 150).tolist()
    log_records(home, *(answer(number, seconds=number) for number in range(60)))
    labels = [feedback(number, 1, float(random.uniform(60, 3 * HOUR))) for number in numbers]
    log_records(home, *labels)
    return home


@settings(max_examples=4, deadline=None)
@given(st.lists(st.floats(0, 4 * HOUR), max_size=3), st.integers(1, 50))
def test_any_number_of_looks_reads_what_one_look_reads(
    long_log: Home, cuts: list[float], rows: int
) -> None:
    position, found = BEGINNING, []
    for cut in [*sorted(cuts), 4 * HOUR]:
        for chunk in read(long_log, position, until=cut, rows=rows):
            found += chunk.table.select(["labelled_at", "request_id"]).to_pylist()
        if found:
            position = LabelPosition(found[-1]["labelled_at"], found[-1]["request_id"])
    ids = [row["request_id"] for row in found]
    assert len(ids) == len(set(ids))
    assert ids == list_ids(read(long_log))


def test_answers_of_a_version_are_those_of_all_windows(home: Home) -> None:
    """Late, repeated, corrected and reordered labels; ids answered again by another version."""
    random = np.random.default_rng(1)
    versions, seconds = random.integers(3, 5, 80).tolist(), random.uniform(0, 4 * HOUR, 80).tolist()
    given = [
        answer(number % 60, seconds=at, version=version)
        for number, (at, version) in enumerate(zip(seconds, versions, strict=True))
    ]
    numbers, values = random.integers(0, 62, 120).tolist(), random.integers(0, 2, 120).tolist()
    labels = [
        feedback(number, value, float(random.uniform(0, 9 * HOUR)))
        for number, value in zip(numbers, values, strict=True)
    ]
    log_records(home, *given, *labels)
    columns = ["request_id", "version", "label", "labelled_at", "at"]
    for maturity, until in ((0.0, 9 * HOUR), (2 * HOUR, 7 * HOUR)):
        chunks = read(home, until=until, maturity=maturity)
        every = [row for chunk in chunks for row in chunk.table.select(columns).to_pylist()]
        assert len(every) > 30
        source = LabelSource(
            "employment", home.answers("employment"), home.feedback, timedelta(seconds=maturity)
        )
        for start, end in ((0.0, 9 * HOUR), (HOUR, 3 * HOUR)):
            span = after(start), after(end)
            for version in (3, 4):
                found = read_version(source, version, *span, after(until)).select(columns)
                wanted = [
                    row
                    for row in every
                    if row["version"] == version and span[0] <= row["at"] < span[1]
                ]
                assert found.to_pylist() == sorted(wanted, key=lambda row: row["at"])
