"""YAML and JSON are read within limits: nothing that a file holds takes minutes or a stack."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from sluice.documents import (
    JSON_LIMITS,
    YAML_LIMITS,
    DocumentInvalid,
    Limits,
    compose_yaml,
    parse_json,
    parse_yaml,
    read_json,
    read_yaml,
)
from sluice.home import PROJECT
from support.documents import HOSTILE_JSON, HOSTILE_YAML
from support.pace import slowed

SECONDS = 3.0
"""The slowest of them takes a fraction of it; before, some took minutes."""
ROOMS = ("sluice", "tasks", "flows", "cli", "serving", "demo")
OTHER_READERS = {
    "sluice/documents.py": "is the reader",
    "serving/http/requests.py": "looks for duplicate fields in a body that has its own limits",
    "demo/caller.py": "reads what our own gateway answers, thousands of times a second",
    "sluice/prompts/jsonl.py": "looks for keys that are there twice, after the limits were checked",
    "sluice/prompts/scorers/structure.py": "judges whether an answer of a model is strict JSON",
    "sluice/control/approval.py": "turns values of its own into JSON and back",
}


@pytest.mark.parametrize("name", HOSTILE_YAML)
def test_yaml_beyond_a_limit_is_refused_soon_and_in_words(name: str, tmp_path: Path) -> None:
    text, words = HOSTILE_YAML[name]
    file = tmp_path / "a.yaml"
    file.write_bytes(text)
    began = time.monotonic()
    with pytest.raises(DocumentInvalid, match=words):
        read_yaml(file)
    assert time.monotonic() - began < slowed(SECONDS)


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_json_beyond_a_limit_is_refused_soon_and_in_words(name: str, tmp_path: Path) -> None:
    text, words = HOSTILE_JSON[name]
    file = tmp_path / "a.json"
    file.write_bytes(text)
    began = time.monotonic()
    with pytest.raises(DocumentInvalid, match=words):
        read_json(file)
    assert time.monotonic() - began < slowed(SECONDS)


def test_line_of_what_is_refused_is_named() -> None:
    with pytest.raises(DocumentInvalid) as refused:
        parse_yaml("a: 1\nb: [1,\n" + "[" * 50)
    assert refused.value.line == 3


def test_what_is_within_the_limits_is_read_as_ever() -> None:
    text = "base: &base {a: 1, b: [x, 2.5, null, true]}\nmore: {<<: *base, b: 2020-01-02}\n"
    found = parse_yaml(text)
    assert found["base"] == {"a": 1, "b": ["x", 2.5, None, True]}
    assert found["more"]["a"] == 1
    assert str(found["more"]["b"]) == "2020-01-02"
    assert parse_yaml("") is None
    assert parse_json(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}


def test_largest_that_is_allowed_is_read() -> None:
    limits = Limits(size=1_000, depth=3, values=10)
    assert parse_json("[[[1]]]", limits) == [[[1]]]
    assert parse_yaml("[[[1]]]", limits) == [[[1]]]
    nine = json.dumps(list(range(9)))
    assert parse_json(nine, limits) == parse_yaml(nine, limits) == list(range(9))
    for text in ("[[[[1]]]]", json.dumps(list(range(10)))):
        for parse in (parse_json, parse_yaml):
            with pytest.raises(DocumentInvalid, match="allowed: "):
                parse(text, limits)


def test_configuration_of_a_thousand_columns_is_within_the_limits() -> None:
    columns = {f"a_column_with_a_long_name_{number}": "number" for number in range(1_000)}
    text = json.dumps({"data": {"columns": columns, "features": list(columns)}})
    assert parse_yaml(text)["data"]["columns"] == columns
    assert compose_yaml(text) is not None
    assert YAML_LIMITS.size < JSON_LIMITS.size


def test_nothing_else_reads_yaml_or_json() -> None:
    calls = re.compile(r"\bjson\.loads?\(|\byaml\.(safe_)?(load|compose|parse)")
    found = {
        str(file.relative_to(PROJECT))
        for room in ROOMS
        for file in (PROJECT / room).rglob("*.py")
        if calls.search(file.read_text(encoding="utf-8"))
    }
    assert found == set(OTHER_READERS)


def test_odd_types_of_values_do_not_break_the_measure() -> None:
    deep: Any = parse_json("[" * 99 + "]" * 99)
    assert len(deep) == 1
