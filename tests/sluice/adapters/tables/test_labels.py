"""Labels in real traffic tables: late, twice, of other services, and of unknown requests."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from serving.log.records import Feedback, Record
from serving.log.tables import Kind, Logged, build_rows
from sluice.adapters.traffic.labelled import LabelSource, count_labelled, read_version
from sluice.adapters.traffic.log import append_records
from sluice.home import Home
from support.gateway.records import AT, make_answer

SERVICE = "employment"


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(AT + seconds, UTC)


def append(uri: Path, kind: Kind, records: Sequence[Record], source: str = "a") -> None:
    logged = [Logged(record, source, place) for place, record in enumerate(records, 1)]
    append_records(uri, build_rows(kind, logged), {source: len(records)}, AT)


def label(request: str, at: float, text: str | None, service: str = SERVICE) -> Feedback:
    return Feedback(request_id=request, at=AT + at, label=text, service=service)


def fill(home: Home) -> Home:
    """Five answers of v3, five of v4, and what callers said about them."""
    answers = [make_answer(n, version=3 + n // 5, at=AT + 1000 * n) for n in range(10)]
    append(home.answers(SERVICE), Kind.ANSWERS, answers)
    said = [
        label("r1", 50, '"yes"'),
        label("r1", 90_000, '"no"'),
        label("r2", 80_000, '"yes"', service=""),
        label("r6", 90_000, '"yes"'),
        label("r7", 90_000, '"yes"', service="arrivals"),
        label("r8", 90_000, None),
        label("unknown", 90_000, '"yes"'),
    ]
    append(home.feedback, Kind.FEEDBACK, said)
    return home


def open_source(home: Home, maturity: float = 0.0) -> LabelSource:
    return LabelSource(SERVICE, home.answers(SERVICE), home.feedback, timedelta(seconds=maturity))


def test_answers_with_a_label_count_once(home: Home) -> None:
    source = open_source(fill(home))
    assert count_labelled(source, None) == 3
    assert count_labelled(source, moment(85_000)) == 2
    assert count_labelled(source, moment(95_000)) == 0


def test_nothing_logged_is_no_label(home: Home) -> None:
    source = open_source(home)
    assert count_labelled(source, None) == 0
    append(home.answers(SERVICE), Kind.ANSWERS, [make_answer(1)])
    assert count_labelled(source, None) == 0
    assert read_version(source, 3, moment(-10), moment(10), moment(100)).num_rows == 0


def test_labelled_answers_of_a_version_have_the_label_that_counts(home: Home) -> None:
    fill(home)

    def read(version: int, start: float, end: float, maturity: float = 0.0) -> list[Any]:
        window = moment(start), moment(end), moment(200_000)
        found = read_version(open_source(home, maturity), version, *window)
        return found.select(["request_id", "unit", "label"]).to_pylist()

    first = {"request_id": "r1", "unit": "u1", "label": '"yes"'}
    second = {"request_id": "r2", "unit": "u2", "label": '"yes"'}
    assert read(3, 0, 100_000) == [first, second]
    assert read(3, 0, 2000) == [first]
    assert read(3, 0, 2000, maturity=100_000) == [{**first, "label": '"no"'}]
    assert [row["request_id"] for row in read(4, 0, 100_000)] == ["r6"]
    assert read(4, 0, 6000) == []


def test_an_answer_given_again_by_another_version_counts_for_that_one(home: Home) -> None:
    again = [make_answer(1, version=3, at=AT), make_answer(1, version=4, at=AT + 600)]
    append(home.answers(SERVICE), Kind.ANSWERS, again)
    append(home.feedback, Kind.FEEDBACK, [label("r1", 700, '"yes"')])
    window = moment(-10), moment(9_000), moment(9_000)
    found = [read_version(open_source(home), version, *window).num_rows for version in (3, 4)]
    assert found == [0, 1]
