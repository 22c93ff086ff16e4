"""Logged answers become rows with outcomes; what cannot be measured is counted with its reason."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from sluice.drift.performance.labelled import (
    AnswerForm,
    build_frame,
    decode_answers,
    decode_predictions,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
BINARY = AnswerForm("binary", "employed", {"age": "integer", "employed": "integer"}, (0, 1), 1)
NUMBERS = AnswerForm("regression", "earned", {"age": "integer", "earned": "number"})
PAIR = '{"prediction": 1, "probabilities": {"0": 0.25, "1": 0.75}}'


def logged(label: str, outputs: str = PAIR, **facts: Any) -> dict[str, Any]:
    usual = {
        "request_id": "r1",
        "inputs": '{"age": 41}',
        "outputs": outputs,
        "label": label,
        "failed": False,
        "fallback": False,
        "at": AT,
        "labelled_at": AT,
    }
    return {**usual, **facts}


def test_binary_answer_has_the_probability_of_the_positive_class() -> None:
    rows, skipped = decode_answers(BINARY, [logged("0")])
    assert rows.y.tolist() == [0]
    assert rows.predictions.labels.tolist() == [1]
    assert rows.predictions.scores is not None
    assert rows.predictions.scores.tolist() == [0.75]
    assert rows.frame.to_dict("list") == {"age": [41]}
    assert skipped.counts == {}


def test_answer_of_several_classes_has_them_in_the_order_of_the_model() -> None:
    form = AnswerForm("multiclass", "arrival", {"arrival": "text"}, ("early", "late"))
    outputs = '{"prediction": "late", "probabilities": {"late": 0.9, "early": 0.1}}'
    rows, _ = decode_answers(form, [logged('"early"', outputs)])
    assert rows.predictions.scores is not None
    assert rows.predictions.scores.tolist() == [[0.1, 0.9]]


def test_number_answer() -> None:
    rows, _ = decode_answers(NUMBERS, [logged("3", '{"prediction": 2.5}')])
    assert (rows.y.tolist(), rows.predictions.labels.tolist()) == ([3.0], [2.5])


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ('"1"', "the label is a text, allowed: a whole number: 0, 1"),
        ("true", "the label is true or false, allowed: a whole number: 0, 1"),
        ("7", "the label is no class of the model, allowed: 0, 1"),
        ("{", "the label is not readable"),
    ],
)
def test_label_that_is_no_class_is_named_with_what_is_allowed(label: str, reason: str) -> None:
    rows, skipped = decode_answers(BINARY, [logged(label)])
    assert len(rows) == 0
    assert skipped.counts == {reason: 1}
    assert skipped.named == {reason: ("r1",)}


def test_whole_number_with_a_point_is_the_class() -> None:
    assert decode_answers(BINARY, [logged("1.0")])[0].y.tolist() == [1]


@pytest.mark.parametrize("label", ['"3"', "true", "NaN", "1e999"])
def test_label_of_a_regression_is_a_finite_number(label: str) -> None:
    rows, skipped = decode_answers(NUMBERS, [logged(label, '{"prediction": 2.5}')])
    assert len(rows) == 0
    assert sum(skipped.counts.values()) == 1


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"failed": True}, "the request failed"),
        ({"outputs": ""}, "the request has no answer"),
        ({"outputs": "[]"}, "the request had several records and has one label"),
        ({"outputs": "{"}, "the logged request is not readable"),
        (
            {"outputs": '{"prediction": 5, "probabilities": {"0": 0.5, "1": 0.5}}'},
            "the answer is not one of this version's model",
        ),
        ({"outputs": '{"prediction": 1}'}, "the answer is not one of this version's model"),
    ],
)
def test_answer_that_cannot_be_measured_has_a_reason(facts: dict[str, Any], reason: str) -> None:
    _, skipped = decode_answers(BINARY, [logged("1", **facts)])
    assert skipped.counts == {reason: 1}


def test_answer_of_the_champion_in_place_of_a_failed_candidate_is_measured() -> None:
    rows, _ = decode_answers(BINARY, [logged("1", failed=True, fallback=True)])
    assert len(rows) == 1


@pytest.mark.parametrize(("label", "words"), [("null", "null"), ("[1]", "a list or a mapping")])
def test_labels_of_no_type_of_the_data_are_named(label: str, words: str) -> None:
    _, skipped = decode_answers(BINARY, [logged(label)])
    assert [one.startswith(f"the label is {words}, ") for one in skipped.counts] == [True]


def test_reasons_of_several_looks_add_up() -> None:
    many = decode_answers(BINARY, [logged("7", request_id=f"r{n}") for n in range(5)])[1]
    both = many.merge(many)
    assert list(both.counts.values()) == [10]
    assert both.describe() == [
        "10 labelled answers are not measured: the label is no class of the model, "
        "allowed: 0, 1 (first: r0, r1, r2)"
    ]


def test_cells_get_the_types_of_the_table_and_misfits_are_null() -> None:
    kinds: Any = {"n": "integer", "x": "number", "t": "text", "b": "boolean", "at": "timestamp"}
    records = [
        {"n": 3, "x": 1, "t": "a", "b": True, "at": "2026-01-01T00:00:00Z"},
        {"n": 2.5, "x": "no", "t": 4, "b": 1, "at": "never"},
        {},
    ]
    frame = build_frame(kinds, records)
    assert frame["n"].astype(object).where(frame["n"].notna(), None).tolist() == [3, None, None]
    assert frame["b"].tolist() == [True, None, None]
    assert frame.isna().sum().tolist() == [2, 2, 2, 2, 2]
    assert np.isnan(frame["x"].to_numpy()[1:]).all()


def test_column_that_nobody_sends_is_absent() -> None:
    assert list(build_frame({"n": "integer", "sex": "text"}, [{"n": 3}]).columns) == ["n"]


def test_request_of_several_records_has_a_prediction_for_each() -> None:
    many = f"[{PAIR}, {PAIR}]"
    answers = [logged("", many, inputs='[{"age": 1}, {"age": 2}]'), logged("", many)]
    predictions, frame, skipped = decode_predictions(BINARY, answers)
    assert predictions.labels.tolist() == [1, 1]
    assert frame["age"].tolist() == [1, 2]
    assert skipped.counts == {"the logged request is not readable": 1}
