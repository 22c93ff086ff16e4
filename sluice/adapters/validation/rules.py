"""Results of expectations, converted to the rule results that the data gate judges."""

import math
from dataclasses import replace
from typing import Any

import pyarrow as pa

from sluice.adapters.validation.changes import write_change
from sluice.data.batches.arrival import Arrival
from sluice.data.batches.exceptions import NO_EXCEPTIONS, Exceptions
from sluice.gates.data import RuleResult, RuleState

UNIQUE = "expect_column_values_to_be_unique"
ROW_COUNT = "expect_table_row_count_to_be_between"
FEWEST_OF_A_SHARE = 500
"""Fewest rows of a batch whose share of bad rows is compared with the limit itself."""
LEVEL = 0.01
"""Error rate of the test that a small batch has too large a share of bad rows."""
MOST_IDS = 20
"""Most ids that a finding names; the table of bad rows has all."""
TABLE_NAMES = {
    "expect_table_columns_to_match_set": "columns",
    "expect_table_row_count_to_be_between": "table rows",
    "expect_new_rows_to_be_share_of_previous": "new rows",
    "expect_new_rows_to_follow_feed": "rows of the batch",
}
COLUMN_NAMES = {
    "expect_column_values_to_be_in_set": "{column} in set",
    "expect_column_values_to_not_be_null": "{column} not null",
    "expect_column_values_to_be_unique": "{column} unique",
    "expect_column_values_to_be_between": "{column} within [{min_value:g}, {max_value:g}]",
    "expect_column_to_be_of_kind": "type of {column}",
    "expect_column_distribution_to_match_previous": "distribution of {column}",
    "expect_column_newest_to_be_no_older_than_previous": "freshness of {column}",
    "expect_column_to_grow_with_time": "{column} grows with {time}",
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


def read_result(
    rule: Any, result: Any, id_column: str, number: int = 0, arrival: Arrival | None = None
) -> RuleResult:
    """Return an expectation's result; without a result, or with an exception, it has errored.

    `number` is the rule's place in the suite, from 1. In the `arrival` is whether the rows are a
    small batch, and which of them a person accepted.
    """
    kind, arguments = rule.expectation_type, rule.configuration.kwargs
    found = _read_kind(kind, arguments, result, id_column, arrival)
    if not number or found.state not in ("broken", "errored"):
        return found
    values = result.result if result is not None else {}
    if kind == ROW_COUNT:
        values = {"observed_value": found.measured}
    return replace(found, change=write_change(number, kind, arguments, found.state, values))


def _read_kind(
    kind: str, arguments: dict[str, Any], result: Any, id_column: str, arrival: Arrival | None
) -> RuleResult:
    name = name_rule(kind, arguments)
    if result is None:
        return RuleResult(name, "errored", finding="could not be evaluated: no result came back")
    if error := _find_exception(result.exception_info):
        return RuleResult(name, "errored", finding=f"could not be evaluated: {error}")
    found = result.result
    if "unexpected_count" in found:
        return _read_rows(name, kind, arguments, result, id_column, arrival)
    if kind == ROW_COUNT and arrival is not None:
        if arrival.has_accepted(name):
            return RuleResult(name, "not judged", finding="a person accepted these rows")
        if arrival.is_increment:
            return _read_count(name, arguments, arrival.table_rows)
    return _read_value(name, kind, arguments, result)


def _read_count(name: str, arguments: dict[str, Any], rows: int) -> RuleResult:
    """Return the result of a rule on the number of rows: of the table with the batch in it."""
    low, high = arguments.get("min_value"), arguments.get("max_value")
    few, many = low is not None and rows < low, high is not None and rows > high
    finding = f"found {rows}, allowed: {low} to {high}" if few or many else ""
    return RuleResult(name, "broken" if finding else "met", rows, finding=finding)


def _read_value(name: str, kind: str, arguments: dict[str, Any], result: Any) -> RuleResult:
    found = result.result
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
    pairs: list[tuple[Any, Any]],
    results: tuple[RuleResult, ...],
    arrival: Arrival,
    id_column: str,
) -> pa.Table:
    """Return a row for each row that broke a rule: `rule`, `column`, the id and `value` as text.

    `pairs` are the rules with what the library found, None where it found nothing; `results` are
    what the gate judges of them. Rows that a rule tolerates, or that a person accepted, are left
    out.
    """
    lines: dict[str, list[Any]] = {"rule": [], "column": [], id_column: [], "value": []}
    for (rule, result), judged in zip(pairs, results, strict=True):
        arguments = rule.configuration.kwargs
        name, column = judged.name, arguments.get("column", "")
        rows: list[dict[str, Any]] = []
        if result is not None and judged.state == "broken":
            rows = result.result.get("unexpected_index_list") or []
        rows = leave_out_accepted(
            rows, rule.expectation_type, column, id_column, arrival.earlier.exceptions
        )
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
    name: str,
    kind: str,
    arguments: dict[str, Any],
    result: Any,
    id_column: str,
    arrival: Arrival | None,
) -> RuleResult:
    """Return the result of a rule on each row: how many rows broke it, and how many may.

    Rows that a person accepted do not break it. Of a small batch a share of rows is judged by an
    exact binomial test, because a single row is already a large share.
    """
    found = result.result
    column, rows = arguments.get("column", ""), int(found["element_count"])
    exceptions = arrival.earlier.exceptions if arrival is not None else NO_EXCEPTIONS
    broken = list(found.get("unexpected_index_list") or [])
    left = leave_out_accepted(broken, kind, column, id_column, exceptions)
    accepted = len(broken) - len(left)
    count = int(found["unexpected_count"]) - accepted
    share = float(arguments.get("mostly", 1.0))
    tolerated = math.floor((1.0 - share) * rows + 1e-9)
    state: RuleState = "met" if result.success or count <= tolerated else "broken"
    is_small = arrival is not None and arrival.is_increment and rows < FEWEST_OF_A_SHARE
    too_few = is_small and share < 1.0 and not _is_beyond(count, rows, share)
    if state == "broken" and too_few:
        state = "not judged"
    finding = f"{count:,} of {rows:,} {FINDINGS.get(kind, 'rows break the rule')}" if count else ""
    if state == "not judged":
        finding += ": a share of so few rows is judged at release"
    if accepted:
        finding += f"{'; ' if finding else ''}{accepted:,} rows were accepted by a person"
    first = tuple(str(row[id_column]) for row in left[:MOST_IDS]) if count else ()
    return RuleResult(name, state, count, tolerated, "<=", "rows", rows, finding, first)


def leave_out_accepted(
    rows: list[dict[str, Any]], kind: str, column: str, id_column: str, exceptions: Exceptions
) -> list[dict[str, Any]]:
    """Return the rows that broke a rule, without those that a person accepted.

    A value that has to be unique, and that a person accepted in one row, may be in the others.
    """
    covered = [row for row in rows if exceptions.covers(column, row[id_column])]
    if not covered:
        return rows
    values = {row.get(column) for row in covered} if kind == UNIQUE else set()
    return [
        row
        for row in rows
        if not exceptions.covers(column, row[id_column]) and row.get(column) not in values
    ]


def _is_beyond(count: int, rows: int, share: float) -> bool:
    """Return whether so many of so few rows prove that fewer than `share` keep the rule."""
    from scipy.stats import binom

    return bool(binom.sf(count - 1, rows, 1.0 - share) < LEVEL)


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
    if finding := details.get("finding"):
        return str(finding)
    if "limit" in details:
        before = details["limit"]
        return f"the newest of the table is {observed}, the previous version had {before}"
    if mismatched := details.get("mismatched"):
        return "; ".join(f"{key}: {', '.join(names)}" for key, names in mismatched.items())
    if "allowed" in details:
        return f"found {observed}, allowed: {details['allowed']}"
    low, high = arguments.get("min_value"), arguments.get("max_value")
    allowed = f", allowed: {low} to {high}" if low is not None or high is not None else ""
    return f"found {observed}{allowed}"


def _relate(kind: str) -> str:
    upper = (
        "expect_column_distribution_to_match_previous",
        "expect_new_rows_to_follow_feed",
        "expect_column_to_grow_with_time",
    )
    return "<=" if kind in upper else ">="


def _to_number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _to_text(value: Any) -> str | None:
    import pandas as pd

    return None if pd.isna(value) else str(value)
