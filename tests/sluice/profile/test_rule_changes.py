"""Typed words become a rule that the suite can evaluate, or are refused."""

from typing import Any

import pytest

from sluice.config.loading import load_service
from sluice.errors import RuleInvalid
from sluice.profile.rules import (
    ALARM,
    RULES,
    check_new,
    check_removable,
    describe_rule,
    edit_rule,
    find_rule,
    make_rule,
)

DATA = load_service("employment", "development").data


@pytest.mark.parametrize(
    ("words", "kwargs"),
    [
        ("age range 16 100", {"min_value": 16.0, "max_value": 100.0}),
        ("age range -5 -", {"min_value": -5.0}),
        ("sex set female male male", {"value_set": ["female", "male"]}),
        ("employed set 0 1", {"value_set": [0, 1]}),
        ("disability set true False", {"value_set": [True, False]}),
        ("age not-null", {}),
        ("age not-null 0.98", {"mostly": 0.98}),
        ("person_id unique", {}),
        ("age distribution", ALARM),
    ],
)
def test_words_become_a_rule(words: str, kwargs: dict[str, Any]) -> None:
    column, word, *values = words.split()
    rule = make_rule(DATA, column, word, values)
    assert rule.type == RULES[word]
    assert rule.kwargs == {"column": column, **kwargs}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("aeg range 1 2", r"no column 'aeg' \(did you mean 'age'\?\); allowed: person_id"),
        ("age rnage 1 2", r"no rule 'rnage' \(did you mean `range`\?\); allowed: range LOW HIGH"),
        ("sex range 1 2", "cannot be evaluated on 'sex', which is text"),
        ("age range 1", r"found 1; allowed: range LOW HIGH"),
        ("age range - -", "found - -"),
        ("age range 5 1", "found 5 to 1; allowed: the lower one first"),
        ("age range low 1", "found 'low'; allowed: a number"),
        ("age range nan 1", "allowed: a finite number"),
        ("sex set", "no values"),
        ("employed set yes", "found 'yes'; allowed: a number"),
        ("employed set 0.5", "allowed: whole numbers"),
        ("disability set maybe", "allowed: true, false"),
        ("age not-null 2", "allowed: a share above 0, at most 1"),
        ("age unique now", "found now; allowed: unique"),
        ("person_id distribution", "is the id"),
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_refused(words: str, message: str) -> None:
    column, word, *values = words.split()
    with pytest.raises(RuleInvalid, match=message):
        make_rule(DATA, column, word, values)


def test_a_rule_that_is_there_is_named() -> None:
    rule = make_rule(DATA, "age", "range", ["16", "100"])
    there = [{"type": "other", "kwargs": {}}, {"type": rule.type, "kwargs": rule.kwargs}]
    with pytest.raises(RuleInvalid, match="rule 2 is the same rule on 'age'; edit 2 instead"):
        check_new(there, rule)
    check_new(there, make_rule(DATA, "age", "not-null", []))


@pytest.mark.parametrize("number", ["0", "3", "x", "-1"])
def test_an_unknown_number_is_refused(number: str) -> None:
    with pytest.raises(RuleInvalid, match="allowed: 1 to 2"):
        find_rule([{}, {}], number)


def test_editing_changes_only_values() -> None:
    rule = {"id": "u", "type": RULES["range"], "kwargs": {"column": "age"}, "notes": "why"}
    changed = edit_rule(rule, DATA, ["17", "99"])
    assert changed["kwargs"] == {"column": "age", "min_value": 17.0, "max_value": 99.0}
    assert (changed["id"], changed["notes"]) == ("u", "why")
    assert describe_rule(changed) == "17 99"


def test_a_rule_without_values_cannot_be_edited() -> None:
    rule = {"type": RULES["unique"], "kwargs": {"column": "age"}}
    with pytest.raises(RuleInvalid, match="has no values that can be typed"):
        edit_rule(rule, DATA, ["3"])


def test_the_id_keeps_its_rules() -> None:
    with pytest.raises(RuleInvalid, match="the split depends on it"):
        check_removable({"type": RULES["unique"], "kwargs": {"column": "person_id"}}, DATA)
    check_removable({"type": RULES["range"], "kwargs": {"column": "age"}}, DATA)


@pytest.mark.parametrize(
    ("words", "kwargs", "described"),
    [
        ("feed 0.1 20", {"minimum_share": 0.1, "maximum_times": 20.0}, "share 0.1, times 20"),
        ("share 0.01", {"minimum_share": 0.01}, "minimum_share 0.01"),
        ("rows 1 500", {"min_value": 1, "max_value": 500}, "min_value 1, max_value 500"),
    ],
)
def test_rules_on_the_table_are_added_and_edited(
    words: str, kwargs: dict[str, Any], described: str
) -> None:
    word, *values = words.split()
    rule = make_rule(DATA, "table", word, values)
    assert rule.kwargs == kwargs
    there = {"type": rule.type, "kwargs": {**rule.kwargs, "window": 5}}
    assert edit_rule(there, DATA, values)["kwargs"] == {**kwargs, "window": 5}
    assert describe_rule({"type": rule.type, "kwargs": rule.kwargs}) == described
    with pytest.raises(RuleInvalid, match="rule 1 is the same rule on 'table'"):
        check_new([there], rule)
    with pytest.raises(RuleInvalid, match=f"allowed: table {word}"):
        make_rule(DATA, "age", word, values)


@pytest.mark.parametrize(
    "words", ["feed 1", "feed 0.1 0.5", "feed -1 10", "share", "rows 5 1", "rows 1"]
)
def test_wrong_values_of_a_rule_on_the_table_are_refused(words: str) -> None:
    word, *values = words.split()
    with pytest.raises(RuleInvalid, match="allowed: "):
        make_rule(DATA, "table", word, values)


def test_values_are_added_to_a_set_and_its_tolerance_stays() -> None:
    kwargs = {"column": "sex", "value_set": ["female"], "mostly": 0.95}
    changed = edit_rule({"type": RULES["set"], "kwargs": kwargs}, DATA, ["+", "male", "female"])
    assert changed["kwargs"] == {**kwargs, "value_set": ["female", "male"]}


def test_the_floors_of_a_distribution_are_edited_and_the_rest_stays() -> None:
    kwargs = {"column": "age", **ALARM, "minimum_rows": 900}
    changed = edit_rule({"type": RULES["distribution"], "kwargs": kwargs}, DATA, ["0.2", "0.3"])
    assert changed["kwargs"] == {**kwargs, "minimum_distance": 0.2, "minimum_psi": 0.3}
