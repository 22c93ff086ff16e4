"""Verdicts as tables, for a run's page and the terminal."""

import math
from collections.abc import Sequence

from sluice.report.markdown import Cell, Column, wrap_cell, write_fitted
from sluice.verdict import Check, Outcome, Verdict

ORDER = (Outcome.FAIL, Outcome.INSUFFICIENT, Outcome.LISTED, Outcome.PASS)
SMALLEST = 0.0005
"""A smaller number would be zero with three decimals."""
DECIMALS = ((1000.0, 0), (100.0, 1), (10.0, 2))
"""Smallest size, and the decimals of a number of this size; smaller numbers have three."""
RELATIONS = {">=": "≥", "<=": "≤", ">": "above", "<": "below"}
CHECKS = (Column("check", 30), Column("measured", 18), Column("limit", 12), Column("note", 27))
GATES = (Column("gate", 10), Column("outcome", 12), Column("checks", 19), Column("reason", 45))


def verdict_rows(verdict: Verdict) -> list[dict[str, str]]:
    """Return one row per check, the ones that stopped the gate first; every value is text."""
    ranked = sorted(verdict.checks, key=lambda check: ORDER.index(check.outcome))
    return [_describe_check(check) for check in ranked]


def summary_rows(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """Return one row per gate, in the order given: outcome, number of checks, reason."""
    return [
        {
            "gate": verdict.gate,
            "outcome": verdict.outcome.value,
            "checks": count_outcomes(verdict),
            "reason": verdict.reason,
        }
        for verdict in verdicts
    ]


def write_summary(verdicts: Sequence[Verdict]) -> str:
    """Write one Markdown table of all gates, in the order given."""
    rows = [[row[column.head] for column in GATES] for row in summary_rows(verdicts)]
    return write_fitted(GATES, rows)


def write_checks(verdict: Verdict, most: int | None = None) -> list[str]:
    """Write a Markdown table of checks for each outcome, the ones that stopped the gate first.

    Of more than `most` checks, the rest is counted.
    """
    shown = sorted(verdict.checks, key=lambda check: ORDER.index(check.outcome))[:most]
    parts = []
    for outcome in ORDER:
        rows = [_list_cells(check) for check in shown if check.outcome is outcome]
        if rows:
            parts += [f"**{outcome.value}**", write_fitted(CHECKS, rows)]
    if more := len(verdict.checks) - len(shown):
        parts.append(f"{more:,} more checks in `verdicts/{verdict.gate}.json` of the MLflow run.")
    return parts


def _list_cells(check: Check) -> tuple[Cell, ...]:
    size = format_size(check)
    lines = (format_measured(check), format_interval(check.interval), f"n {size}" if size else "")
    measured = tuple(part for line in lines for part in wrap_cell(line, CHECKS[1].letters))
    limit = format_limit(check) if check.limit is not None else ""
    return check.name, measured, limit, check.note


def count_outcomes(verdict: Verdict) -> str:
    """Count the checks by outcome, such as `1 fail, 3 listed, 28 pass`."""
    counts = {outcome: 0 for outcome in ORDER}
    for check in verdict.checks:
        counts[check.outcome] += 1
    named = [f"{count:,} {outcome.value}" for outcome, count in counts.items() if count]
    return ", ".join(named) or "none"


def format_number(value: float | None, whole: bool = True, tiny: bool = True) -> str:
    """Write a number for people: 12,345; 0.812; 104.3; 1.2e-05. None: empty.

    `whole`: a number without a fraction is a count and has no decimals. `tiny`: a number that three
    decimals would round to zero is written with an exponent.
    """
    if value is None:
        return ""
    if not math.isfinite(value):
        return str(value)
    if whole and value == int(value):
        return f"{int(value):,}"
    size = abs(value)
    if tiny and 0 < size < SMALLEST:
        return f"{value:.1e}"
    decimals = next((places for least, places in DECIMALS if size >= least), 3)
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"  # zero has no sign


def format_interval(interval: tuple[float, float] | None) -> str:
    """Write bounds as `[-0.031, -0.014]`. None: empty."""
    if interval is None:
        return ""
    tiny = all(abs(bound) < SMALLEST for bound in interval)
    low, high = (format_number(bound, whole=False, tiny=tiny) for bound in interval)
    return f"[{low}, {high}]"


def format_limit(check: Check) -> str:
    """Write a check's limit with its relation, such as `≥ -0.010`. None: empty.

    A cell that begins with `>` would be rendered as a quotation in Markdown.
    """
    relation = RELATIONS.get(check.relation, check.relation)
    return f"{relation} {format_number(check.limit, _is_count(check))}".strip()


def format_measured(check: Check) -> str:
    """Write a check's measured value, with its unit unless it has an interval. None: empty."""
    text = format_number(check.measured, _is_count(check))
    if not text or check.interval is not None:
        return text
    separator = "" if check.unit == "%" else " "
    return f"{text}{separator}{check.unit}".strip()


def format_size(check: Check) -> str:
    """Write a check's rows; with an interval, the unit says which rows. None: empty."""
    text = format_number(check.n)
    return f"{text} {check.unit}".strip() if text and check.interval is not None else text


def _describe_check(check: Check) -> dict[str, str]:
    return {
        "check": check.name,
        "outcome": check.outcome.value,
        "measured": format_measured(check),
        "interval": format_interval(check.interval),
        "limit": format_limit(check) if check.limit is not None else "",
        "n": format_size(check),
        "note": check.note,
    }


def _is_count(check: Check) -> bool:
    """Whether a check is a count: it has no interval, and no number of it has a fraction."""
    numbers = [number for number in (check.measured, check.limit) if number is not None]
    finite = all(math.isfinite(number) for number in numbers)
    return check.interval is None and finite and all(number == int(number) for number in numbers)
