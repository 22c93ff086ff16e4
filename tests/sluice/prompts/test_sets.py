"""Evaluation and bias sets: a wrong line is refused by file, line and key."""

from pathlib import Path
from typing import Any

import pytest

from sluice.errors import PromptInvalid
from sluice.prompts.bias_set import read_bias_set
from sluice.prompts.cases import list_criteria, read_eval_set
from sluice.prompts.folder import load_prompt
from support.prompts import write_prompt, write_rows

SWAP = {"attribute": "gender", "input": "Ask {name}", "groups": {"a": {"name": "Al"}}}
GROUPS = {"a": {"name": "Al"}, "b": {"name": "Bea"}}
GOOD = {"name": "good", "type": "contains", "expected": "Hi", "threshold": 0.5}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["{x"], ":1: not readable as JSON: Expecting property name"),
        (["", '{"input": "a"}', "[1]"], ":3: found list; allowed: an object, {...}"),
        (['{"input": "a", "input": "b"}'], ":1: key 'input' is given twice"),
        ([{"inptu": "a"}], ":1: inptu: unknown key (did you mean `input`?); allowed: context,"),
        ([{"expected": "a"}], ":1: input: Field required"),
        ([{"input": 3}], ":1: input: found 3; allowed: a text, or a mapping"),
        ([{"input": {"person": 3}}], ':1: input.person: found 3; allowed: a text, such as "3"'),
        ([{"input": "a", "expected": 1}], ":1: expected: Input should be a valid string"),
        ([{"input": {"persn": "a"}}], ":1: input: v1: missing: person; surplus: persn;"),
        ([{"input": "a"}, {"input": "a", "tags": ["x"]}], ":2: input: found the case of line 1"),
        ([{"input": "a"}, {"input": {"person": "a"}}], ":2: input: found the case of line 1 again"),
        ([{"input": "a", "context": ["b"]}], "found passages; allowed: with {context}"),
        ([{"input": "a", "per_case": [GOOD, GOOD]}], ":1: per_case: found 'good' twice"),
        ([{"input": "a", "per_case": [GOOD | {"type": "x"}]}], "per_case.0.type: found 'x'; all"),
        (
            [
                {"input": "a", "per_case": [GOOD]},
                {"input": "b", "per_case": [GOOD | {"threshold": 0.6}]},
            ],
            ":2: per_case.0.threshold: found 0.6; allowed: 0.5, as in line 1",
        ),
        (
            [{"input": "a", "per_case": [GOOD | {"name": "short"}]}],
            ":1: per_case.0.type: found 'contains'; allowed: length, as in v1",
        ),
        (
            [{"input": "a", "per_case": [{"name": "b", "type": "grounding"}]}],
            ":1: per_case.0: found no threshold; a grounding needs one: write `threshold`, or",
        ),
    ],
)
def test_a_wrong_case_is_refused(tmp_path: Path, rows: list[Any], words: str) -> None:
    folder = write_prompt(tmp_path, rows)
    with pytest.raises(PromptInvalid) as caught:
        load_prompt("greet", tmp_path)
    assert str(caught.value).startswith(str(folder / "eval_set.jsonl"))
    assert words in str(caught.value)


def test_many_problems_are_shown_at_once_and_the_rest_is_counted(tmp_path: Path) -> None:
    write_prompt(tmp_path, ["{"] * 25)
    with pytest.raises(PromptInvalid) as caught:
        load_prompt("greet", tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[19].startswith(f"{tmp_path / 'greet' / 'eval_set.jsonl'}:20: ")
    assert lines[20:] == ["and 5 more"]


def test_a_line_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    folder = write_prompt(tmp_path, [{"input": "a"}])
    (folder / "eval_set.jsonl").write_bytes(b'{"input": "a"}\n{"input": "\xff"}\n')
    with pytest.raises(PromptInvalid, match=r"eval_set\.jsonl:2: not readable as UTF-8"):
        load_prompt("greet", tmp_path)


def test_the_identity_of_a_set_is_that_of_its_cases(tmp_path: Path) -> None:
    one, two = {"input": "a", "tags": ["x"]}, {"input": "b", "expected": "B"}
    first = read_eval_set(write_rows(tmp_path / "1", [one, two]))
    assert read_eval_set(write_rows(tmp_path / "2", [two, "", one])).identity == first.identity
    other = read_eval_set(write_rows(tmp_path / "3", [one, two | {"expected": "b"}]))
    assert other.identity != first.identity
    assert first.count_tags() == {"x": 1}


def test_an_empty_set_can_be_read_and_has_no_cases(tmp_path: Path) -> None:
    """The gate calls it insufficient; a person still wants to see the prompt."""
    write_prompt(tmp_path, [])
    assert load_prompt("greet", tmp_path).eval_set.cases == ()


def test_a_case_is_judged_by_the_versions_criteria_and_its_own(tmp_path: Path) -> None:
    shorter = {"name": "short", "type": "length", "expected": {"max_words": 2}}
    rows = [{"input": "a", "per_case": [GOOD, shorter]}, {"input": "b", "expected": "Hi b"}]
    criteria = [
        {"name": "short", "type": "length", "expected": {"max_words": 5}},
        {"name": "same", "type": "exact", "threshold": 0.5},
    ]
    write_prompt(tmp_path, rows, eval_criteria=criteria)
    prompt = load_prompt("greet", tmp_path)
    first, second = (list_criteria(prompt.versions[1], case) for case in prompt.eval_set.cases)
    assert [item.name for item in first] == ["short", "good"]
    assert first[0].expected == {"max_words": 2}
    assert [item.name for item in second] == ["short", "same"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ":1: groups: Dictionary should have at least 2 items"),
        ({"groups": GROUPS, "input": "Ask"}, ":1: input: found no placeholder; allowed: `{name}`"),
        ({"groups": GROUPS | {"b": {"nam": "Bea"}}}, ":1: groups.b: found nam; allowed: name, as"),
        ({"groups": GROUPS | {"b": {"name": "Al"}}}, ":1: groups: found two groups with the same"),
    ],
)
def test_a_wrong_bias_case_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(PromptInvalid) as caught:
        read_bias_set(write_rows(tmp_path / "bias_set.jsonl", [SWAP | changes]))
    assert words in str(caught.value)


def test_groups_of_an_attribute_are_the_same_in_every_case(tmp_path: Path) -> None:
    other = {"groups": {"a": {"name": "Al"}, "c": {"name": "Cy"}}, "input": "Tell {name}"}
    rows = [SWAP | {"groups": GROUPS}, SWAP | other]
    with pytest.raises(PromptInvalid, match=":2: groups: found a, c; allowed: a, b, as in line 1"):
        read_bias_set(write_rows(tmp_path / "bias_set.jsonl", rows))


def test_exchanged_words_are_put_in_once(tmp_path: Path) -> None:
    groups = {"a": {"name": "{name}"}, "b": {"name": "{{ name }}"}}
    rows = [SWAP | {"groups": groups, "input": {"person": "{name} {other} {{name}}"}}]
    with pytest.raises(PromptInvalid, match=r"groups\.a: found name; allowed: name, other"):
        read_bias_set(write_rows(tmp_path / "bias_set.jsonl", rows))
    rows[0]["input"] = {"person": "{name} {{name}}"}
    case = read_bias_set(write_rows(tmp_path / "bias_set.jsonl", rows)).cases[0]
    assert case.exchange("a") == {"person": "{name} {name}"}
    assert case.exchange("b") == {"person": "{{ name }} {name}"}


def test_a_bias_case_has_to_fit_every_version(tmp_path: Path) -> None:
    folder = write_prompt(tmp_path, [{"input": "a"}])
    rows = [SWAP | {"groups": GROUPS, "input": {"text": "{name}"}}]
    write_rows(folder / "bias_set.jsonl", rows)
    with pytest.raises(PromptInvalid, match=r"bias_set\.jsonl:1: input: v1: missing: person"):
        load_prompt("greet", tmp_path)
