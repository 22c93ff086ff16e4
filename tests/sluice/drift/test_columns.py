"""What is watched of a service's columns, and the numbers or levels of their cells."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sluice.config.data import DataConfig
from sluice.drift.columns import (
    ColumnUnreadable,
    WatchedColumn,
    list_watched,
    read_levels,
    read_numbers,
)

COLUMNS: dict[str, Any] = {
    "id": "integer",
    "seen": "timestamp",
    "bought": "boolean",
    "age": "integer",
    "city": "text",
    "title": "text",
    "hired": "timestamp",
    "renewed": "timestamp",
    "week": "integer",
}
DATA = DataConfig(
    id="id",
    time="seen",
    target="bought",
    columns=COLUMNS,
    features=("seen", "age", "city", "title", "hired", "renewed", "week"),
    encodings={"title": "text", "renewed": "calendar"},
    suite="things",
)


def numbers_of(form: Any, cells: pa.Array, **options: Any) -> list[float]:
    column = WatchedColumn("x", "x", form)
    return read_numbers(column, pa.chunked_array([cells]), **options).tolist()


def test_each_form_of_each_feature_is_watched() -> None:
    found = list_watched(DATA, "binary", growing=["week"])
    features = [(one.name, one.form) for one in found.columns if one.role == "feature"]
    assert features == [
        ("age", "number"),
        ("city", "level"),
        ("title.length", "length"),
        ("title.unknown_words", "unknown_words"),
        ("hired.age", "age"),
        ("hired.month", "month"),
        ("hired.weekday", "weekday"),
        ("hired.hour", "hour"),
        ("renewed.month", "month"),
        ("renewed.weekday", "weekday"),
        ("renewed.hour", "hour"),
    ]


def test_what_grows_with_time_is_left_out_and_says_so() -> None:
    found = list_watched(DATA, "binary", growing=["week"]).left_out
    assert set(found) == {"seen", "week", "renewed.age"}
    assert all("grows" in reason for reason in found.values())


def test_an_age_needs_a_time_to_count_to() -> None:
    found = list_watched(DATA.model_copy(update={"time": ""}), "binary")
    assert "data.time" in found.left_out["hired.age"]


@pytest.mark.parametrize(
    ("problem", "classes", "outputs"),
    [
        ("binary", (), [("(prediction)", "level"), ("(score)", "number")]),
        (
            "multiclass",
            ("a", "b"),
            [("(prediction)", "level"), ("(score of a)", "number"), ("(score of b)", "number")],
        ),
        ("regression", (), [("(prediction)", "number")]),
    ],
)
def test_outputs_are_watched(problem: Any, classes: Any, outputs: Any) -> None:
    found = list_watched(DATA, problem, classes).columns
    assert [(one.name, one.form) for one in found if one.role == "prediction"] == outputs
    label = next(one for one in found if one.role == "label")
    assert (label.source, label.form) == (
        "bought",
        "number" if problem == "regression" else "level",
    )


def test_numbers_of_every_type_are_read() -> None:
    for values in (pa.array([1, None]), pa.array([1.0, float("nan")]), pa.array([True, None])):
        assert str(numbers_of("number", values)) == "[1.0, nan]"


def test_infinite_numbers_are_null() -> None:
    assert str(numbers_of("number", pa.array([float("inf"), -float("inf")]))) == "[nan, nan]"


def test_a_column_of_nulls_is_read_whatever_its_type() -> None:
    for form in ("number", "month", "length", "unknown_words"):
        assert np.isnan(numbers_of(form, pa.nulls(2))).all()


def test_texts_are_measured() -> None:
    texts = pa.array(["Red house", None, "", "blue  HOUSE red x"]).dictionary_encode()
    assert str(numbers_of("length", texts)) == "[9.0, nan, 0.0, 17.0]"
    shares = numbers_of("unknown_words", texts, vocabulary=("red", "house"))
    assert str(shares) == "[0.0, nan, 0.0, 0.5]"


def test_moments_have_parts_and_an_age() -> None:
    cells = pa.array([datetime(2026, 3, 1, 15, 40, tzinfo=UTC), None])
    now = pa.chunked_array([pa.array([datetime(2026, 3, 3, 3, 40, tzinfo=UTC)] * 2)])
    assert str(numbers_of("month", cells)) == "[3.0, nan]"
    assert str(numbers_of("weekday", cells)) == "[6.0, nan]"
    assert str(numbers_of("hour", cells)) == "[15.0, nan]"
    assert str(numbers_of("age", cells, origin=now)) == "[1.5, nan]"


@pytest.mark.parametrize(
    ("form", "cells", "words"),
    [
        ("number", pa.array(["1"]), "found string, allowed: numbers"),
        ("length", pa.array([1]), "found int64, allowed: text"),
        ("month", pa.array([1]), "found int64, allowed: times"),
        ("age", pa.array([datetime(2026, 1, 1)]), "no column"),
    ],
)
def test_another_type_is_refused(form: Any, cells: pa.Array, words: str) -> None:
    with pytest.raises(ColumnUnreadable, match=words):
        numbers_of(form, cells)


@pytest.mark.parametrize(
    ("cells", "names", "counts"),
    [
        (pa.array(["b", "a", None, "b"]), ["a", "b"], [1, 2]),
        (pa.array(["b", "a", None, "b"]).dictionary_encode(), ["a", "b"], [1, 2]),
        (pa.array([2.0, 1.5, float("nan"), 2.0]), ["1.5", "2"], [1, 2]),
        (pa.array([True, False, None, True]), ["false", "true"], [1, 2]),
    ],
)
def test_levels_are_counted(cells: pa.Array, names: list[str], counts: list[int]) -> None:
    found, rows, nulls = read_levels(pa.chunked_array([cells]))
    assert sorted(zip(found, rows.tolist(), strict=True)) == list(zip(names, counts, strict=True))
    assert nulls == 1


def test_dictionaries_of_several_chunks_are_one() -> None:
    chunks = [pa.array(part).dictionary_encode() for part in (["a", "b"], ["b", "c"])]
    names, counts, _ = read_levels(pa.chunked_array(chunks))
    assert dict(zip(names, counts.tolist(), strict=True)) == {"a": 1, "b": 2, "c": 1}


def test_a_level_without_rows_is_none() -> None:
    cells = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array(["a", "unused"]))
    assert read_levels(pa.chunked_array([cells]))[0] == ["a"]
