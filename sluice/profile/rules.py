"""Data rules that a new service begins with: kinds, nulls, ranges, sets, arrival, distributions."""

import math
from dataclasses import dataclass, field
from typing import Any

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
"""Arguments of every distribution rule; the number of tests is known only when it runs."""
RARE = 5
"""Fewest rows a value, on average, for a column's values to be taken for a closed set."""
WIDENED = 0.5
"""How far beyond what was seen a range goes on either side, as a share of its width."""


@dataclass(frozen=True)
class Rule:
    """One expectation of a suite: its type, arguments, and a note for whoever reads it."""

    type: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    notes: str = ""


def propose_rules(draft: Draft) -> tuple[Rule, ...]:
    """Give the suite that the file suggests; each number can be changed with `sluice expect`."""
    names = [column.name for column in draft.columns]
    data, target = draft.data, draft.roles.target
    values = [column for column in draft.columns if column.name not in (data.id, data.time)]
    rules = [Rule(COLUMNS, {"column_set": names})]
    rules += [Rule(KIND, {"column": item.name, "kind": item.kind}) for item in draft.columns]
    rules += [Rule(NOT_NULL, {"column": item.name}) for item in draft.columns if item.nulls == 0]
    rules.append(Rule(UNIQUE, {"column": data.id}))
    classes = draft.problem != "regression"
    rules += [
        _widen_range(item)
        for item in values
        if item.numeric and item.distinct > 1 and not (classes and item.name == target.name)
    ]
    rules += [
        Rule(SET, {"column": item.name, "value_set": list(item.levels)})
        for item in values
        if _is_closed(item, classes and item.name == target.name)
    ]
    rules += _expect_arrival(draft)
    watched = {*data.features, *draft.sensitive, target.name}
    rules += [
        Rule(DISTRIBUTION, {"column": item.name, **ALARM})
        for item in values
        if item.name in watched and item.kind != "timestamp"
    ]
    return tuple(rules)


def _widen_range(column: ColumnFacts) -> Rule:
    low, high = float(column.low), float(column.high)
    reach = WIDENED * (high - low)
    bounds = [low - reach, high + reach]
    if low >= 0.0 > bounds[0]:
        bounds[0] = 0.0
    if column.kind == "integer":
        bounds = [float(math.floor(bounds[0])), float(math.ceil(bounds[1]))]
    notes = f"Seen {column.low:g} to {column.high:g}; widened by half, not beyond 0."
    return Rule(
        RANGE, {"column": column.name, "min_value": bounds[0], "max_value": bounds[1]}, notes
    )


def _is_closed(column: ColumnFacts, answer: bool) -> bool:
    if answer:
        return True
    if column.kind == "boolean":
        return column.distinct == 2
    known = column.rows - column.nulls
    return column.kind == "text" and len(column.levels) > 1 and known >= RARE * column.distinct


def _expect_arrival(draft: Draft) -> list[Rule]:
    least = max(1, draft.rows // 100)
    rules = [
        Rule(
            ROWS,
            {"min_value": least, "max_value": 100 * draft.rows},
            "A hundredth of the first file is a delivery that broke off; a hundred times as many "
            "rows are a join that multiplied them.",
        ),
        Rule(
            SHARE,
            {"minimum_share": 0.01},
            "Fewer new rows than a hundredth of those before are a delivery that broke off; "
            "raise it if yours come in large parts.",
        ),
    ]
    if draft.data.time:
        rules.append(Rule(FRESH, {"column": draft.data.time}))
    return rules
