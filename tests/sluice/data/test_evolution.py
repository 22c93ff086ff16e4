"""A change of the schema keeps every value, and is undone for a model that is older."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.config.loading import load_service
from sluice.data.evolution import (
    SchemaChange,
    apply_change,
    change_kinds,
    check_change,
    choose_changes,
    choose_later,
    describe_kinds,
    follow_changes,
    restore_columns,
    restore_kinds,
)
from sluice.data.schema import ARROW_TYPES, WIDER
from sluice.errors import DataInvalid, SchemaRefused

KINDS = {"key": "integer", "size": "integer", "flag": "boolean", "name": "text", "ratio": "number"}
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "key": st.integers(0, 10**6),
    "size": st.none() | st.integers(-(2**53), 2**53),
    "flag": st.none() | st.booleans(),
    "name": st.none() | st.text(max_size=5),
    "ratio": st.none() | st.floats(allow_nan=False, allow_infinity=False),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(1, 6))
    return pa.table(
        {
            name: pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), ARROW_TYPES[kind])
            for (name, kind), cells in zip(KINDS.items(), CELLS.values(), strict=True)
        }
    )


@st.composite
def histories(draw: st.DrawFn) -> list[SchemaChange]:
    """Up to six changes, each of the columns that the ones before it left."""
    kinds: dict[str, str] = dict(KINDS)
    changes = []
    for number in range(draw(st.integers(0, 6))):
        column = draw(st.sampled_from([name for name in kinds if name != "key"] or ["key"]))
        action = draw(st.sampled_from(["add", "rename", "widen", "drop"]))
        if column == "key" or action == "add":
            change = SchemaChange("add", f"new{number}", draw(st.sampled_from(sorted(ARROW_TYPES))))
        elif action == "rename":
            change = SchemaChange("rename", column, name=f"other{number}")
        elif action == "widen" and kinds[column] in WIDER:
            wider = draw(st.sampled_from(WIDER[kinds[column]]))
            change = SchemaChange("widen", column, wider, kinds[column])
        else:
            change = SchemaChange("drop", column, before=kinds[column])
        kinds = change_kinds(kinds, change)
        changes.append(change)
    return changes


@settings(deadline=None)
@given(tables(), histories())
def test_rows_follow_the_changes_and_are_restored(
    table: pa.Table, changes: list[SchemaChange]
) -> None:
    kinds: dict[str, str] = dict(KINDS)
    for change in changes:
        kinds = change_kinds(kinds, change)
    followed = follow_changes(table, changes, kinds)
    assert describe_kinds(followed.schema) == kinds
    used = choose_changes(KINDS, changes, kinds)
    assert restore_kinds(kinds, used) == KINDS
    restored = restore_columns(followed.to_pandas(), used)
    before = table.to_pandas()
    lost, name = set(), {column: column for column in KINDS}
    for change in used:
        column = next((old for old, new in name.items() if new == change.column), None)
        if column and change.action == "rename":
            name[column] = change.name
        if column and change.action == "drop":
            lost.add(column)
            del name[column]
    for column in KINDS:
        if column in lost:
            assert restored[column].isna().all()
            continue
        assert restored[column].isna().equals(before[column].isna())
        known = before[column].notna()
        assert restored[column][known].tolist() == before[column][known].tolist()


@settings(deadline=None)
@given(tables(), histories())
def test_a_version_with_the_configuration_of_its_time_stays_as_it_was(
    table: pa.Table, changes: list[SchemaChange]
) -> None:
    assert follow_changes(table, changes, KINDS).equals(table)


@settings(deadline=None)
@given(tables(), histories())
def test_a_change_that_was_made_already_changes_no_columns(
    table: pa.Table, changes: list[SchemaChange]
) -> None:
    kinds: dict[str, str] = dict(KINDS)
    for change in changes:
        kinds = change_kinds(kinds, change)
        assert change_kinds(kinds, change) == kinds


def test_a_number_too_large_to_be_exact_is_refused() -> None:
    table = pa.table({"size": [2**53 + 1]})
    with pytest.raises(DataInvalid, match="next: widen it to text"):
        apply_change(table, SchemaChange("widen", "size", "number", "integer"))
    assert apply_change(table, SchemaChange("widen", "size", "text", "integer"))[
        "size"
    ].to_pylist() == ["9007199254740993"]


def test_columns_that_are_neither_before_nor_after_a_change_are_refused() -> None:
    with pytest.raises(SchemaRefused, match="found text, allowed: integer"):
        change_kinds({"size": "text"}, SchemaChange("widen", "size", "number", "integer"))


CONFIG = load_service("employment", "development")


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (SchemaChange("widen", "relationship", "number", "text"), "allowed: nothing"),
        (SchemaChange("widen", "age", "boolean", "integer"), "allowed: number, text"),
        (SchemaChange("widen", "person_id", "text", "integer"), "is the id"),
        (SchemaChange("widen", "employed", "number", "integer"), "is the target"),
        (SchemaChange("drop", "employed", before="integer"), "is the target"),
        (SchemaChange("drop", "sex", before="text"), "bias.sensitive"),
        (SchemaChange("drop", "survey_year", before="integer"), "data.time"),
        (SchemaChange("add", "AGE", "number"), "differ by more than case"),
        (SchemaChange("add", "extra", "decimal"), "allowed: integer, number"),
        (SchemaChange("add", " ", "number"), "words that can be read"),
        (SchemaChange("rename", "sex", name="Age"), "differ by more than case"),
    ],
    ids=str,
)
def test_a_change_that_the_service_cannot_bear_is_refused(change: SchemaChange, fact: str) -> None:
    with pytest.raises(SchemaRefused, match=fact):
        check_change(CONFIG, change)


def test_the_target_of_a_regression_may_become_a_number() -> None:
    config = CONFIG.model_copy(update={"problem": "regression"})
    check_change(config, SchemaChange("widen", "employed", "number", "integer"))


@given(histories(), st.integers(0, 6))
def test_rows_kept_at_any_time_find_the_way_to_todays_columns(
    changes: list[SchemaChange], kept: int
) -> None:
    kinds: dict[str, str] = dict(KINDS)
    for change in changes[:kept]:
        kinds = change_kinds(kinds, change)
    today = kinds
    for change in changes[kept:]:
        today = change_kinds(today, change)
    reached = kinds
    for change in choose_later(kinds, changes, today):
        reached = change_kinds(reached, change)
    assert reached == today


def test_rows_of_other_columns_have_no_way() -> None:
    changes = [SchemaChange("rename", "size", name="width")]
    assert choose_later({"key": "integer"}, changes, {"key": "integer", "width": "number"}) == ()
    assert choose_later({"width": "integer"}, changes, {"width": "integer"}) == ()
