"""Feedback that is joined with the answers of the log."""

from typing import Any

import pyarrow as pa

from sluice.data.traffic.feedback import join_feedback, take_last_words


def make_answers(*rows: tuple[float, str, int]) -> pa.Table:
    names = ("at", "request_id", "version")
    values = [dict(zip(names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist([{**row, "position": n} for n, row in enumerate(values)])


def make_feedback(*rows: dict[str, Any]) -> pa.Table:
    schema = pa.schema(
        [
            ("at", pa.float64()),
            ("position", pa.int64()),
            ("request_id", pa.string()),
            ("label", pa.string()),
            ("rating", pa.float64()),
            ("value", pa.float64()),
            ("service", pa.string()),
        ]
    )
    return pa.Table.from_pylist([{"position": n, **row} for n, row in enumerate(rows)], schema)


def test_last_value_of_each_field_counts() -> None:
    feedback = make_feedback(
        {"at": 2.0, "request_id": "a", "label": "no", "value": 5.0},
        {"at": 1.0, "request_id": "a", "label": "yes", "rating": 1.0},
    )
    assert take_last_words(feedback).to_pylist() == [
        {"request_id": "a", "label": "no", "rating": 1.0, "value": 5.0}
    ]


def test_values_of_one_time_count_in_the_order_of_the_log() -> None:
    feedback = make_feedback(
        {"at": 1.0, "request_id": "a", "label": "yes"},
        {"at": 1.0, "request_id": "a", "label": "no"},
    )
    assert take_last_words(feedback)["label"].to_pylist() == ["no"]


def test_feedback_after_months_finds_its_answer_and_unknown_ids_are_dropped() -> None:
    answers = make_answers((1.0, "a", 3), (2.0, "b", 4))
    feedback = make_feedback(
        {"at": 9e6, "request_id": "a", "label": "yes"}, {"at": 3.0, "request_id": "x"}
    )
    rows = join_feedback(answers, feedback, "employment").sort_by("request_id").to_pylist()
    assert [(row["request_id"], row["version"], row["label"]) for row in rows] == [
        ("a", 3, "yes"),
        ("b", 4, None),
    ]


def test_id_that_was_answered_twice_stands_for_the_last_answer() -> None:
    answers = make_answers((1.0, "a", 3), (2.0, "a", 4))
    feedback = make_feedback({"at": 3.0, "request_id": "a", "rating": -1.0})
    (row,) = join_feedback(answers, feedback, "employment").to_pylist()
    assert (row["version"], row["rating"]) == (4, -1.0)


def test_last_answer_keeps_its_own_missing_cells() -> None:
    answers = make_answers((1.0, "a", 3)).append_column("cost", pa.array([0.5]))
    later = make_answers((2.0, "a", 4)).append_column("cost", pa.array([None], pa.float64()))
    (row,) = join_feedback(
        pa.concat_tables([answers, later]), make_feedback(), "employment"
    ).to_pylist()
    assert (row["version"], row["cost"]) == (4, None)


def test_feedback_of_another_service_is_not_about_an_answer_with_the_same_id() -> None:
    answers = make_answers((1.0, "a", 3))
    feedback = make_feedback(
        {"at": 2.0, "request_id": "a", "service": "arrivals", "rating": -1.0, "label": "no"},
        {"at": 3.0, "request_id": "a", "service": "employment", "label": "yes"},
        {"at": 4.0, "request_id": "a", "service": "", "value": 2.0},
        {"at": 5.0, "request_id": "a", "service": None, "value": 3.0},
    )
    (row,) = join_feedback(answers, feedback, "employment").to_pylist()
    assert (row["label"], row["rating"], row["value"]) == ("yes", None, 3.0)
