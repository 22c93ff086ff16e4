"""Data rules of a service: the ones that `init` proposes, and changes by number."""

import difflib
import math
from dataclasses import dataclass, field
from typing import Any

from sluice.config.data import DataConfig
from sluice.errors import RuleInvalid
from sluice.profile.columns import ColumnFacts
from sluice.profile.draft import Draft

COLUMNS = "expect_table_columns_to_match_set"
KIND = "expect_column_to_be_of_kind"
NOT_NULL = "expect_column_values_to_not_be_null"
UNIQUE = "expect_column_values_to_be_unique"
RANGE = "expect_column_values_to_be_between"
SET = "expect_column_values_to_be_in_set"
ROWS = "expect_table_row_count_to_be_between"
SHARE = "expect_new_rows_to_be_share_of_previous"
FRESH = "expect_column_newest_to_be_no_older_than_previous"
DISTRIBUTION = "expect_column_distribution_to_match_previous"
ALARM: dict[str, Any] = {
    "alpha": 0.01,
    "minimum_distance": 0.05,
    "minimum_nulls": 0.02,
    "minimum_psi": 0.02,
    "minimum_rows": 500,
    "tests": {"$PARAMETER": "distribution_tests"},
}
"""Arguments of each distribution rule; the number of tests is known only when it runs."""
RARE = 5
"""Fewest rows per value, on average, for a column's values to become a closed set."""
WIDENING = 0.5
"""How far a range extends beyond the seen values on each side, as a share of their width."""
RULES = {
    "range": RANGE,
    "set": SET,
    "not-null": NOT_NULL,
    "unique": UNIQUE,
    "distribution": DISTRIBUTION,
}
"""Names of the rules that a person can add, and the type of expectation of each."""
USAGE = {
    RANGE: "range LOW HIGH (- for an open side)",
    SET: "set VALUE VALUE ...",
    NOT_NULL: "not-null [SHARE of the rows, such as 0.98]",
    UNIQUE: "unique",
    DISTRIBUTION: "distribution",
}
KINDS: dict[str, tuple[str, ...]] = {
    RANGE: ("integer", "number"),
    SET: ("integer", "text", "boolean"),
    NOT_NULL: ("integer", "number", "text", "boolean", "timestamp"),
    UNIQUE: ("integer", "number", "text", "timestamp"),
    DISTRIBUTION: ("integer", "number", "text", "boolean"),
}
"""The kinds of column that each rule can be evaluated on."""


@dataclass(frozen=True)
class DataRule:
    """One expectation of a suite: its type, its arguments, and a note for readers."""

    type: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    notes: str = ""


def propose_rules(draft: Draft) -> tuple[DataRule, ...]:
    """Return the rules that the file suggests; `sluice expect` can change each of them."""
    names = [column.name for column in draft.columns]
    data, target = draft.data, draft.roles.target
    values = [column for column in draft.columns if column.name not in (data.id, data.time)]
    rules = [DataRule(COLUMNS, {"column_set": names})]
    rules += [DataRule(KIND, {"column": item.name, "kind": item.kind}) for item in draft.columns]
    rules += [
        DataRule(NOT_NULL, {"column": item.name}) for item in draft.columns if item.nulls == 0
    ]
    rules.append(DataRule(UNIQUE, {"column": data.id}))
    classes = draft.problem != "regression"
    rules += [
        _widen_range(item)
        for item in values
        if item.numeric and item.distinct > 1 and not (classes and item.name == target.name)
    ]
    rules += [
        DataRule(SET, {"column": item.name, "value_set": list(item.levels)})
        for item in values
        if _is_closed(item, classes and item.name == target.name)
    ]
    rules += _expect_arrival(draft)
    watched = {*data.features, *draft.sensitive, target.name}
    rules += [
        DataRule(DISTRIBUTION, {"column": item.name, **ALARM})
        for item in values
        if item.name in watched and item.kind != "timestamp"
    ]
    return tuple(rules)


def _widen_range(column: ColumnFacts) -> DataRule:
    low, high = float(column.low), float(column.high)
    reach = WIDENING * (high - low)
    bounds = [low - reach, high + reach]
    if low >= 0.0 > bounds[0]:
        bounds[0] = 0.0
    if column.kind == "integer":
        bounds = [float(math.floor(bounds[0])), float(math.ceil(bounds[1]))]
    notes = f"Seen {column.low:g} to {column.high:g}; widened by half, not beyond 0."
    return DataRule(
        RANGE, {"column": column.name, "min_value": bounds[0], "max_value": bounds[1]}, notes
    )


def _is_closed(column: ColumnFacts, is_target: bool) -> bool:
    if is_target:
        return True
    if column.kind == "boolean":
        return column.distinct == 2
    known = column.rows - column.nulls
    return column.kind == "text" and len(column.levels) > 1 and known >= RARE * column.distinct


def _expect_arrival(draft: Draft) -> list[DataRule]:
    least = max(1, draft.rows // 100)
    rules = [
        DataRule(
            ROWS,
            {"min_value": least, "max_value": 100 * draft.rows},
            "Fewer rows than a hundredth of the first file are an incomplete delivery; more than a "
            "hundred times as many come from a join that multiplied them.",
        ),
        DataRule(
            SHARE,
            {"minimum_share": 0.01},
            "Fewer new rows than a hundredth of the previous ones are an incomplete delivery; "
            "raise the share if your deliveries are large.",
        ),
    ]
    if draft.data.time:
        rules.append(DataRule(FRESH, {"column": draft.data.time}))
    return rules


def make_rule(data: DataConfig, column: str, word: str, values: list[str]) -> DataRule:
    """Return the rule of the words `COLUMN RULE VALUES`.

    Raises:
        RuleInvalid: the column or the rule is unknown, or the values do not fit them.
    """
    if word not in RULES:
        close = difflib.get_close_matches(word, RULES, 1)
        hint = f" (did you mean `{close[0]}`?)" if close else ""
        raise RuleInvalid(f"no rule '{word}'{hint}; allowed: {'; '.join(USAGE.values())}")
    if column not in data.columns:
        close = difflib.get_close_matches(column, data.columns, 1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise RuleInvalid(f"no column '{column}'{hint}; allowed: {', '.join(data.columns)}")
    kind, expectation = data.columns[column], RULES[word]
    if kind not in KINDS[expectation]:
        raise RuleInvalid(
            f"`{word}` cannot be evaluated on '{column}', which is {kind}; "
            f"allowed: columns of kind {', '.join(KINDS[expectation])}"
        )
    if expectation == DISTRIBUTION and column == data.id:
        raise RuleInvalid(f"'{column}' is the id: no two versions share its values")
    return DataRule(expectation, {"column": column, **_read_values(expectation, kind, values)})


def check_new(rules: list[dict[str, Any]], rule: DataRule) -> None:
    """Check that the suite does not have the rule yet.

    Raises:
        RuleInvalid: it has; the message names the rule's number.
    """
    for number, there in enumerate(rules, 1):
        same = there["kwargs"].get("column") == rule.kwargs["column"]
        if same and there["type"] == rule.type:
            column = rule.kwargs["column"]
            raise RuleInvalid(
                f"rule {number} is the same rule on '{column}'; edit {number} instead"
            )


def find_rule(rules: list[dict[str, Any]], number: str) -> int:
    """Return the index, from 0, of the rule with a number of the list.

    Raises:
        RuleInvalid: there is no rule of that number.
    """
    if not number.isdigit() or not 1 <= int(number) <= len(rules):
        raise RuleInvalid(f"no rule {number!r}; allowed: 1 to {len(rules)}, as in the list")
    return int(number) - 1


def edit_rule(rule: dict[str, Any], data: DataConfig, values: list[str]) -> dict[str, Any]:
    """Return the rule with other values: its id, notes and severity stay.

    Raises:
        RuleInvalid: its kind has no values, or the values do not fit.
    """
    word = next((word for word, kind in RULES.items() if kind == rule["type"]), None)
    if word in (None, "unique", "distribution"):
        raise RuleInvalid(
            f"{rule['type']} has no values that can be typed; allowed: range, set and not-null; "
            "remove it, or edit the suite's file"
        )
    changed = make_rule(data, rule["kwargs"]["column"], str(word), values)
    return {**rule, "kwargs": changed.kwargs}


def check_removable(rule: dict[str, Any], data: DataConfig) -> None:
    """Check that a rule may be removed.

    Raises:
        RuleInvalid: it is the rule that the id is unique, or never null.
    """
    if rule["kwargs"].get("column") == data.id and rule["type"] in (UNIQUE, NOT_NULL):
        raise RuleInvalid(
            f"'{data.id}' is the id, and the split depends on it: this rule stays; "
            "name another id in the configuration first"
        )


def describe_rule(rule: dict[str, Any]) -> str:
    """Return a rule's values as a person types them."""
    kwargs = rule["kwargs"]
    if rule["type"] == RANGE:
        low, high = (kwargs.get(key) for key in ("min_value", "max_value"))
        return " ".join("-" if bound is None else f"{bound:g}" for bound in (low, high))
    if rule["type"] == SET:
        return " ".join(str(value) for value in kwargs["value_set"])
    if rule["type"] == DISTRIBUTION:
        return (
            f"KS {kwargs.get('minimum_distance', 0.05):g}, PSI {kwargs.get('minimum_psi', 0.02):g}"
        )
    skipped = {"column", "column_set"}
    return ", ".join(f"{key} {value}" for key, value in kwargs.items() if key not in skipped)


def _read_values(expectation: str, kind: str, values: list[str]) -> dict[str, Any]:
    if expectation == RANGE:
        return _read_range(values)
    if expectation == SET:
        if not values:
            raise RuleInvalid(f"no values; allowed: {USAGE[SET]}")
        return {"value_set": list(dict.fromkeys(_read_value(kind, value) for value in values))}
    if expectation == NOT_NULL and values:
        share = _read_number(values[0])
        if len(values) > 1 or not 0.0 < share <= 1.0:
            raise RuleInvalid(f"found {' '.join(values)}; allowed: a share above 0, at most 1")
        return {"mostly": share} if share < 1.0 else {}
    if values:
        raise RuleInvalid(f"found {' '.join(values)}; allowed: {USAGE[expectation]}")
    return dict(ALARM) if expectation == DISTRIBUTION else {}


def _read_range(values: list[str]) -> dict[str, Any]:
    if len(values) != 2 or values == ["-", "-"]:
        raise RuleInvalid(f"found {' '.join(values) or 'nothing'}; allowed: {USAGE[RANGE]}")
    low, high = (None if value == "-" else _read_number(value) for value in values)
    if low is not None and high is not None and low > high:
        raise RuleInvalid(f"found {low:g} to {high:g}; allowed: the lower one first")
    found = {"min_value": low, "max_value": high}
    return {key: value for key, value in found.items() if value is not None}


def _read_number(value: str) -> float:
    try:
        number = float(value)
    except ValueError as error:
        raise RuleInvalid(f"found {value!r}; allowed: a number") from error
    if not math.isfinite(number):
        raise RuleInvalid(f"found {value!r}; allowed: a finite number")
    return number


def _read_value(kind: str, value: str) -> Any:
    if kind == "text":
        return value
    if kind == "boolean":
        if value.lower() not in ("true", "false"):
            raise RuleInvalid(f"found {value!r}; allowed: true, false")
        return value.lower() == "true"
    number = _read_number(value)
    if not number.is_integer():
        raise RuleInvalid(f"found {value!r}; allowed: whole numbers")
    return int(number)
