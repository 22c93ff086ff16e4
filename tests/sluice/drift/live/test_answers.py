"""Logged answers become rows in a reference's bins; what does not fit is counted, not guessed."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sluice.config.data import ColumnKind
from sluice.drift.columns import PREDICTION, SCORE, Watched, WatchedColumn, name_score
from sluice.drift.live.answers import (
    MOST_UNKNOWN,
    OTHERS,
    AnswerCounter,
    AnswerKinds,
    CountedAnswers,
    count_labels,
    decode_answers,
)
from sluice.drift.profile import Description, ReferenceProfile, build_profile
from sluice.drift.rule import judge_drift

KINDS: dict[str, ColumnKind] = {
    "age": "number",
    "city": "text",
    "seen": "timestamp",
    "member": "boolean",
    "bought": "integer",
}
ROWS = 600
random = np.random.default_rng(3)
AGES = random.normal(40, 5, ROWS)
TABLE = pa.table(
    {
        "age": AGES,
        "city": random.choice(["bern", "rome"], ROWS).tolist(),
        "seen": pa.array(
            [f"2026-03-{1 + at % 28:02d}T{at % 24:02d}:00:00" for at in range(ROWS)]
        ).cast(pa.timestamp("us")),
        "member": (AGES > 40).tolist(),
        "bought": (AGES > 42).astype(int),
    }
)
OUTPUTS = pa.table({PREDICTION: (AGES > 41).astype(int), SCORE: random.random(ROWS)})


def make_reference(outputs: pa.Table = OUTPUTS) -> ReferenceProfile:
    watched = (
        WatchedColumn("age", "age", "number"),
        WatchedColumn("city", "city", "level"),
        WatchedColumn("seen.hour", "seen", "hour"),
        WatchedColumn("member", "member", "level"),
        *(
            WatchedColumn(name, name, "level" if name == PREDICTION else "number", "prediction")
            for name in outputs.column_names
        ),
        WatchedColumn("bought", "bought", "level", "label"),
    )
    tables: dict[Any, Any] = {"feature": TABLE, "label": TABLE, "prediction": outputs}
    return build_profile(Description("shop", 1, tuple(KINDS)), Watched(watched, {}), tables)


PROFILE = make_reference()
BINARY = AnswerKinds(KINDS, "bought", 1)


def write_answer(record: Any, output: Any = None, **facts: Any) -> dict[str, Any]:
    return {
        "request_id": "r1",
        "failed": False,
        "fallback": False,
        "inputs": record if isinstance(record, str) else json.dumps(record),
        "outputs": None if output is None else json.dumps(output),
        **facts,
    }


def count(*answers: dict[str, Any], profile: ReferenceProfile = PROFILE) -> CountedAnswers:
    counter = AnswerCounter(profile, BINARY)
    counter.add(pa.Table.from_pylist(list(answers)))
    return counter.finish()


def person(at: int, **changes: Any) -> dict[str, Any]:
    row = TABLE.slice(at, 1).to_pylist()[0]
    known = {name: row[name] for name in ("age", "city", "member")}
    return {**known, "seen": row["seen"].isoformat(), **changes}


def answered(at: int) -> dict[str, Any]:
    row = OUTPUTS.slice(at, 1).to_pylist()[0]
    score = row[SCORE]
    return {"prediction": row[PREDICTION], "probabilities": {"0": 1 - score, "1": score}}


def test_the_same_rows_as_json_give_the_counts_of_the_reference() -> None:
    found = count(*(write_answer(person(at), answered(at)) for at in range(ROWS)))
    for name in ("age", "city", "seen.hour", "member", PREDICTION, SCORE):
        expected = PROFILE.columns[name].counts
        assert found.counts.columns[name].cells.tolist() == expected.cells.tolist(), name
    assert (found.counts.rows, found.requests, found.failed) == (ROWS, ROWS, 0)
    judged = judge_drift(PROFILE, found.counts)
    assert judged["data"].outcome == "clean"


def test_a_request_of_several_records_has_a_row_for_each() -> None:
    found = count(write_answer([person(0), person(1)], [answered(0), answered(1)]))
    assert (found.counts.rows, found.requests) == (2, 1)
    assert found.counts.columns[SCORE].filled == 2


def test_a_failed_request_has_inputs_and_no_outputs() -> None:
    found = count(
        write_answer(person(0), answered(0)), write_answer(person(1), answered(1), failed=True)
    )
    assert (found.counts.rows, found.failed) == (2, 1)
    assert (found.counts.columns[SCORE].filled, found.counts.columns[SCORE].nulls) == (1, 0)


def test_a_fallback_has_the_answer_of_the_version_that_gave_it() -> None:
    found = count(write_answer(person(0), answered(0), failed=True, fallback=True))
    assert (found.failed, found.counts.columns[SCORE].filled) == (0, 1)


@pytest.mark.parametrize(
    ("change", "column", "words"),
    [
        ({"age": "forty"}, "age", "found texts, allowed: numbers"),
        ({"age": True}, "age", "found true or false, allowed: numbers"),
        ({"city": 7}, "city", "found numbers, allowed: texts"),
        ({"member": 1}, "member", "found numbers, allowed: true or false"),
        ({"seen": "yesterday"}, "seen.hour", "found texts, allowed: times"),
        ({"city": ["bern"]}, "city", "found lists, allowed: texts"),
        ({"city": {"name": "bern"}}, "city", "found mappings, allowed: texts"),
    ],
)
def test_a_value_of_another_kind_is_unreadable(
    change: dict[str, Any], column: str, words: str
) -> None:
    found = count(write_answer(person(0, **change)), write_answer(person(1))).counts
    counts = found.columns[column]
    assert (counts.filled, counts.nulls, counts.unreadable, counts.found) == (1, 0, 1, words)


@pytest.mark.parametrize(
    "time", ["2026-03-01T07:30:00Z", "2026-03-01t07:30:00z", "2026-03-01 09:30:00+02:00"]
)
def test_times_are_read_as_the_gateway_reads_them(time: str) -> None:
    counts = count(write_answer(person(0, seen=time))).counts.columns["seen.hour"]
    assert (counts.filled, counts.unreadable) == (1, 0)


def test_null_and_a_name_that_only_some_records_have_are_null() -> None:
    short = {name: value for name, value in person(1).items() if name != "age"}
    found = count(write_answer(person(0, age=None)), write_answer(short), write_answer(person(2)))
    assert (found.counts.columns["age"].filled, found.counts.columns["age"].nulls) == (1, 2)


def test_a_column_that_no_record_has_is_missing() -> None:
    short = [{n: v for n, v in person(at).items() if n != "age"} for at in range(ROWS)]
    found = count(*(write_answer(one) for one in short))
    assert "age" not in found.counts.columns
    judged = judge_drift(PROFILE, found.counts)
    assert [one.column for one in judged["upstream"].columns] == ["age"]
    assert judged["upstream"].columns[0].alarms == ("missing column",)


def test_columns_that_the_release_did_not_know_are_counted_by_name() -> None:
    found = count(write_answer(person(0, colour="red")), write_answer(person(1)))
    assert dict(found.counts.unknown) == {"colour": 1}


def test_a_flood_of_unknown_names_takes_no_more_memory() -> None:
    found = count(*(write_answer(person(at, **{f"x{at}": 1})) for at in range(MOST_UNKNOWN + 50)))
    assert len(found.counts.unknown) == MOST_UNKNOWN + 1
    assert found.counts.unknown[OTHERS] == 50


@pytest.mark.parametrize("inputs", ["{", "", "7", "[1]", "[]", "[" * 5_000, '{"age": NaN}'])
def test_inputs_that_are_no_records_are_counted_and_named(inputs: str) -> None:
    found = count(write_answer(inputs, request_id="bad"), write_answer(person(0)))
    assert (found.unreadable, found.unreadable_ids, found.counts.rows) == (1, ("bad",), 1)


def test_numbers_without_an_end_are_unreadable() -> None:
    found = count(write_answer(json.dumps(person(0, age=0)).replace('"age": 0', '"age": 1e999')))
    assert found.counts.rows + found.unreadable == 1
    assert not found.counts.columns or found.counts.columns["age"].filled == 0


def test_probabilities_of_several_classes_are_found_by_their_names() -> None:
    scores = {name_score("a"): random.random(ROWS), name_score(2): random.random(ROWS)}
    outputs = pa.table({PREDICTION: ["a"] * ROWS, **scores})
    profile = make_reference(outputs)
    given = {"prediction": "a", "probabilities": {"a": 0.75, "2": 0.25}}
    found = decode_answers(
        profile,
        AnswerKinds(KINDS, "bought"),
        pa.Table.from_pylist([write_answer(person(0), given)]),
    )
    assert found.table[name_score("a")].to_pylist() == [0.75]
    assert found.table[name_score(2)].to_pylist() == [0.25]


@pytest.mark.parametrize(("positive", "names"), [(1, "01"), (True, ("false", "true"))])
def test_the_positive_class_is_found_as_the_data_spells_it(positive: Any, names: Any) -> None:
    given = {"prediction": positive, "probabilities": {names[0]: 0.25, names[1]: 0.75}}
    answers = pa.Table.from_pylist([write_answer(person(0), given)])
    found = decode_answers(PROFILE, AnswerKinds(KINDS, "bought", positive), answers)
    assert found.table[SCORE].to_pylist() == [0.75]


def test_labels_are_counted_and_those_of_another_kind_are_unreadable() -> None:
    found = count_labels(PROFILE, BINARY, ["1", "0", "1", '"yes"', "{", None])
    counts = found.columns["bought"]
    assert list(found.columns) == ["bought"]
    assert (counts.filled, counts.unreadable, found.rows) == (3, 1, 0)


def test_a_target_among_the_inputs_is_no_label() -> None:
    assert "bought" not in count(write_answer(person(0, bought=1))).counts.columns
    assert count(write_answer(person(0, bought=1))).counts.unknown == {}


def test_parts_merge_to_the_whole() -> None:
    answers = [write_answer(person(at), answered(at)) for at in range(90)]
    parted = AnswerCounter(PROFILE, BINARY)
    for start in (0, 20, 70):
        parted.add(pa.Table.from_pylist(answers[start : {0: 20, 20: 70, 70: 90}[start]]))
    assert parted.finish().counts.to_dict() == count(*answers).counts.to_dict()


def test_no_answers_are_no_rows() -> None:
    found = AnswerCounter(PROFILE, BINARY).finish()
    assert (found.counts.rows, dict(found.counts.columns)) == (0, {})
    judged = judge_drift(PROFILE, found.counts)
    assert {one.outcome for one in judged.values()} == {"not judged"}
