"""Results of expectations, converted to the rule results that the data gate judges."""

import math
from typing import Any

import pyarrow as pa

from sluice.data.arrival import Arrival
from sluice.gates.data import RuleResult, RuleState

MOST_IDS = 20
"""Most ids that a finding names; the table of bad rows has all."""
TABLE_NAMES = {
    "expect_table_columns_to_match_set": "columns",
    "expect_table_row_count_to_be_between": "table rows",
    "expect_new_rows_to_be_share_of_previous": "new rows",
}
COLUMN_NAMES = {
    "expect_column_values_to_be_in_set": "{column} in set",
    "expect_column_values_to_not_be_null": "{column} not null",
    "expect_column_values_to_be_unique": "{column} unique",
    "expect_column_values_to_be_between": "{column} within [{min_value:g}, {max_value:g}]",
    "expect_column_to_be_of_kind": "type of {column}",
    "expect_column_distribution_to_match_previous": "distribution of {column}",
    "expect_column_newest_to_be_no_older_than_previous": "freshness of {column}",
}
FINDINGS = {
    "expect_column_values_to_be_in_set": "rows outside the set",
    "expect_column_values_to_not_be_null": "rows are null",
    "expect_column_values_to_be_unique": "rows share their value with another",
    "expect_column_values_to_be_between": "rows out of range",
}


def name_rule(kind: str, arguments: dict[str, Any]) -> str:
    """Return an expectation's short name, such as `age within [16, 100]`."""
    if kind in TABLE_NAMES:
        return TABLE_NAMES[kind]
    plain = kind.removeprefix("expect_").replace("_", " ")
    fallback = f"{arguments['column']}: {plain}" if "column" in arguments else plain
    try:
        return COLUMN_NAMES[kind].format(**arguments)
    except (KeyError, ValueError, TypeError):  # another kind, or a range open to one side
        return fallback


def read_result(rule: Any, result: Any, id_column: str) -> RuleResult:
    """Return an expectation's result; without a result, or with an exception, it has errored."""
    kind, arguments = rule.expectation_type, rule.configuration.kwargs
    name = name_rule(kind, arguments)
    if result is None:
        return RuleResult(name, "errored", finding="could not be evaluated: no result came back")
    if error := _find_exception(result.exception_info):
        return RuleResult(name, "errored", finding=f"could not be evaluated: {error}")
    found = result.result
    if "unexpected_count" in found:
        return _read_rows(name, kind, arguments, result, id_column)
    details = found.get("details") or {}
    if reason := details.get("not_judged"):
        return RuleResult(name, "not judged", finding=reason)
    state: RuleState = "met" if result.success else "broken"
    observed, limit = found.get("observed_value"), details.get("limit")
    finding = "" if result.success else _explain_value(kind, arguments, observed, details)
    return RuleResult(
        name,
        state,
        measured=_to_number(observed),
        limit=_to_number(limit),
        relation=_relate(kind) if limit is not None else "",
        unit=details.get("measure", ""),
        n=details.get("n"),
        finding=finding,
    )


def gather_bad_rows(
    rules: list[Any], found: dict[str, Any], arrival: Arrival, id_column: str
) -> pa.Table:
    """Return a row for each row that broke a rule: `rule`, `column`, the id and `value` as text."""
    lines: dict[str, list[Any]] = {"rule": [], "column": [], id_column: [], "value": []}
    for rule in rules:
        result = found.get(rule.id)
        rows = (result.result.get("unexpected_index_list") or []) if result is not None else []
        arguments = rule.configuration.kwargs
        name, column = name_rule(rule.expectation_type, arguments), arguments.get("column", "")
        lines["rule"] += [name] * len(rows)
        lines["column"] += [column] * len(rows)
        lines[id_column] += [row[id_column] for row in rows]
        lines["value"] += [_to_text(row.get(column)) for row in rows]
    if arrival.repeated:
        known = arrival.frame.loc[~arrival.new, id_column].tolist()
        lines["rule"] += [f"{id_column} new"] * len(known)
        lines["column"] += [id_column] * len(known)
        lines[id_column] += known
        lines["value"] += [_to_text(value) for value in known]
    return pa.table(
        {
            "rule": pa.array(lines["rule"], pa.string()),
            "column": pa.array(lines["column"], pa.string()),
            id_column: pa.array([_to_text(value) for value in lines[id_column]], pa.string()),
            "value": pa.array(lines["value"], pa.string()),
        }
    )


def _read_rows(
    name: str, kind: str, arguments: dict[str, Any], result: Any, id_column: str
) -> RuleResult:
    """Return the result of a rule on each row: how many rows broke it, and how many may."""
    found = result.result
    count, rows = int(found["unexpected_count"]), int(found["element_count"])
    tolerated = math.floor((1.0 - float(arguments.get("mostly", 1.0))) * rows + 1e-9)
    finding, first = "", tuple[str, ...]()
    if not result.success:
        finding = f"{count:,} of {rows:,} {FINDINGS.get(kind, 'rows break the rule')}"
        broken = found.get("unexpected_index_list") or []
        first = tuple(str(row[id_column]) for row in broken[:MOST_IDS])
    state: RuleState = "met" if result.success else "broken"
    return RuleResult(name, state, count, tolerated, "<=", "rows", rows, finding, first)


def _find_exception(info: Any) -> str:
    """Return the first line of an expectation's exception; empty where there is none."""
    for item in [info, *info.values()]:
        if isinstance(item, dict) and item.get("raised_exception"):
            return str(item.get("exception_message")).splitlines()[0][:300]
    return ""


def _explain_value(
    kind: str, arguments: dict[str, Any], observed: Any, details: dict[str, Any]
) -> str:
    if "p" in details:
        return (
            f"{details['measure']} {observed:.3f} above {details['limit']:g} and "
            f"p {details['p']:.1e} below {details['p_limit']:.1e}: "
            "the new rows are not distributed as before"
        )
    if kind == "expect_new_rows_to_be_share_of_previous":
        least, before = details["limit"], details["n"]
        return (
            f"{observed:,} new rows, at least {least:,.0f} expected after {before:,} previous rows"
        )
    if "limit" in details:
        before = details["limit"]
        return f"the newest of the new rows is {observed}, the previous version had {before}"
    if mismatched := details.get("mismatched"):
        return "; ".join(f"{key}: {', '.join(names)}" for key, names in mismatched.items())
    if "allowed" in details:
        return f"found {observed}, allowed: {details['allowed']}"
    low, high = arguments.get("min_value"), arguments.get("max_value")
    allowed = f", allowed: {low} to {high}" if low is not None or high is not None else ""
    return f"found {observed}{allowed}"


def _relate(kind: str) -> str:
    return "<=" if kind == "expect_column_distribution_to_match_previous" else ">="


def _to_number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _to_text(value: Any) -> str | None:
    import pandas as pd

    return None if pd.isna(value) else str(value)
