"""A changed schema is written into a person's file line by line: all else stays."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.data.evolution import SchemaChange
from sluice.errors import SchemaRefused
from sluice.profile.editing import (
    change_values,
    edit_configuration,
    edit_rules,
    write_scalar,
)
from sluice.profile.rules import COLUMNS, GROWS, KIND, RANGE, SET

BLOCK = """\
# A person's file.
service: shop
data:
  id: key      # never changes
  target: label
  columns:
    key: integer   # the id
    # a word about size
    size: number
    "odd: name": text
    label: integer
  features:
  - size         # first
  - "odd: name"
  leakage: {limit: 0.9, allowed: [size]}
split: {by: hash, group: size}
evaluation:
  slices:
    columns:
      - "odd: name"
bias:
  sensitive: ["odd: name", size]   # both
# the end"""
FLOW = """\
{service: shop, data: {id: key, target: label, columns: {key: integer, size: number,
 label: integer}, features: [size, key]}, bias: {sensitive: none}}
"""
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1)
CHANGES = [
    SchemaChange("add", "extra", "number"),
    SchemaChange("rename", "size", name="width"),
    SchemaChange("rename", "odd: name", name="1.5"),
    SchemaChange("widen", "key", "number", "integer"),
    SchemaChange("drop", "size", before="number"),
    SchemaChange("drop", "odd: name", before="text"),
]


def comments(text: str) -> list[str]:
    return [line.split("#", 1)[1] for line in text.splitlines() if "#" in line]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.action} {change.column}")
@pytest.mark.parametrize("lines", ["\n", "\r\n"])
def test_only_the_values_that_change_are_written(change: SchemaChange, lines: str) -> None:
    text = BLOCK.replace("\n", lines)
    edited = edit_configuration(text, change, feature=True)
    assert yaml.safe_load(edited) == change_values(yaml.safe_load(BLOCK), change, feature=True)
    assert edited != text
    assert edit_configuration(edited, change, feature=True) == edited
    if change.action != "drop":
        assert comments(edited) == comments(text)
    kept = [line for line in text.splitlines(keepends=True) if change.column not in line]
    remaining = edited.splitlines(keepends=True)
    assert all(line in remaining for line in kept[:-1])


@pytest.mark.parametrize("change", [CHANGES[0], CHANGES[1], CHANGES[3], CHANGES[4]])
def test_a_file_in_one_line_is_changed_as_well(change: SchemaChange) -> None:
    edited = edit_configuration(FLOW, change, feature=True)
    assert yaml.safe_load(edited) == change_values(yaml.safe_load(FLOW), change, feature=True)


@settings(deadline=None)
@given(NAMES, st.sampled_from([BLOCK, FLOW]))
def test_any_name_can_be_added_and_given(name: str, text: str) -> None:
    if name in ("key", "size", "label", "odd: name"):
        return
    for change in (SchemaChange("add", name, "text"), SchemaChange("rename", "size", name=name)):
        wanted = change_values(yaml.safe_load(text), change, feature=True)
        assert yaml.safe_load(edit_configuration(text, change, feature=True)) == wanted


@settings(deadline=None)
@given(NAMES)
def test_a_scalar_is_read_as_it_was_written(name: str) -> None:
    assert yaml.safe_load(f"[{write_scalar(name)}]") == [name]


HEAD = """\
service: shop
data:
  id: key
  columns: {key: integer, size: number, price: number}
  features: [size, price]
"""
FORMS = {
    "block": """\
  reading:
    columns:
      size:
        thousands: ","   # in each shop
        prefix: $
      # a word about the price
      price:
        suffix: "%"
    zone: UTC
  target: price
""",
    "lines": """\
  reading:
    columns:
      size: {prefix: $}   # in each shop
      price: {suffix: "%"}
  target: price
""",
    "flow": "  reading: {columns: {size: {prefix: $}, price: {suffix: '%'}}}\n  target: price\n",
    "only one": "  reading:\n    columns:\n      size:\n        prefix: $\n  target: price\n",
    "only one in a line": "  reading: {columns: {size: {prefix: $}}}\n  target: price\n",
}


@pytest.mark.parametrize("forms", FORMS)
@pytest.mark.parametrize(
    "change",
    [SchemaChange("rename", "size", name="a: b"), SchemaChange("drop", "size", before="number")],
    ids=lambda change: change.action,
)
@pytest.mark.parametrize(
    "encodings",
    [
        "  encodings: {size: target, price: date}\n",
        "  encodings:\n    price: date\n    size: target   # many\n",
    ],
)
def test_how_cells_are_written_and_encoded_follows_a_column(
    forms: str, encodings: str, change: SchemaChange
) -> None:
    text = HEAD + FORMS[forms] + encodings
    edited = edit_configuration(text, change, feature=False)
    old = yaml.safe_load(text)["data"]["reading"]["columns"]
    found = yaml.safe_load(edited)["data"]
    wanted = {"a: b": old["size"]} if change.action == "rename" else {}
    assert found["reading"]["columns"] == wanted | {
        name: form for name, form in old.items() if name != "size"
    }
    assert found["target"] == "price"
    assert found["encodings"] == {**dict.fromkeys(wanted, "target"), "price": "date"}
    assert edit_configuration(edited, change, feature=False) == edited
    if change.action == "rename":
        assert comments(edited) == comments(text)


def test_a_file_that_repeats_its_columns_by_an_alias_is_refused() -> None:
    text = "data:\n  id: key\n  columns: {key: integer, size: &kind number, width: *kind}\n"
    text += "  features: [size]\n"
    change = SchemaChange("widen", "size", "text", "number")
    with pytest.raises(SchemaRefused, match="cannot be edited line by line"):
        edit_configuration(text, change, feature=False)


def rule(name: str, **arguments: Any) -> dict[str, Any]:
    return {"id": f"{name} {arguments}", "type": name, "kwargs": arguments}


RULES = [
    rule(COLUMNS, column_set=["size", "name"]),
    rule(KIND, column="size", kind="integer"),
    rule(RANGE, column="size", min_value=0.0),
    rule(SET, column="size", value_set=[1, 2]),
    rule(KIND, column="name", kind="text"),
]


def test_rules_follow_a_name_and_keep_their_ids() -> None:
    edited = edit_rules(RULES, SchemaChange("rename", "size", name="width"))
    assert [item["id"] for item in edited] == [item["id"] for item in RULES]
    assert edited[0]["kwargs"]["column_set"] == ["width", "name"]
    assert [item["kwargs"].get("column") for item in edited[1:]] == [*["width"] * 3, "name"]


def test_a_function_of_time_follows_both_of_its_columns() -> None:
    rules = [rule(GROWS, column="week", time="day", falling=False)]
    renamed = edit_rules(rules, SchemaChange("rename", "day", name="placed"))
    assert renamed[0]["kwargs"] == {"column": "week", "time": "placed", "falling": False}
    renamed = edit_rules(rules, SchemaChange("rename", "week", name="index"))
    assert renamed[0]["kwargs"] == {"column": "index", "time": "day", "falling": False}
    assert edit_rules(rules, SchemaChange("drop", "week", before="integer")) == []
    assert edit_rules(rules, SchemaChange("widen", "week", "text", "integer")) == []
    assert edit_rules(rules, SchemaChange("widen", "week", "number", "integer")) == rules


def test_rules_of_numbers_become_rules_of_text() -> None:
    edited = edit_rules(RULES, SchemaChange("widen", "size", "text", "integer"))
    assert [item["type"] for item in edited] == [COLUMNS, KIND, SET, KIND]
    assert edited[1]["kwargs"]["kind"] == "text"
    assert edited[2]["kwargs"]["value_set"] == ["1", "2"]


def test_rules_of_a_dropped_column_go_with_it() -> None:
    edited = edit_rules(RULES, SchemaChange("drop", "size", before="integer"))
    assert [item["kwargs"] for item in edited] == [
        {"column_set": ["name"]},
        {"column": "name", "kind": "text"},
    ]


def test_rules_of_an_added_column_are_written_once() -> None:
    change, added = SchemaChange("add", "new", "text"), [rule(KIND, column="new", kind="text")]
    edited = edit_rules(RULES, change, added)
    assert edited[-1] == added[0]
    assert edited[0]["kwargs"]["column_set"] == ["size", "name", "new"]
    assert edit_rules(edited, change, added) == edited
