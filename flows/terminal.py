"""What a person reads at the end of a run: a table of verdicts, what to look at, addresses."""

from typing import Any

from rich.console import Console
from rich.table import Table

from sluice import errors
from sluice.report.verdict_table import summary_rows, verdict_rows
from sluice.verdict import Outcome, Verdict

EXIT_GATE, EXIT_REFUSED, EXIT_FAULT = 1, 2, 3
STYLES = {"pass": "green", "fail": "red", "insufficient": "yellow", "listed": "dim"}


def say(message: str) -> None:
    """Print one line of progress at once."""
    print(message, flush=True)  # noqa: T201


def show_verdicts(title: str, verdicts: list[Verdict]) -> None:
    """Print one row a gate, and below it the checks that did not pass."""
    _print_table(title, summary_rows(verdicts))
    for verdict in verdicts:
        if verdict.passed:
            continue
        deciding = [
            check for check in verdict.checks if check.outcome in (Outcome.FAIL, Outcome.INSUFFICIENT)
        ]
        show_checks(verdict, deciding)


def show_checks(verdict: Verdict, checks: list[Any]) -> None:
    """Print the given checks of a verdict, figures beside limits."""
    chosen = {check.name for check in checks}
    rows = [row for row in verdict_rows(verdict) if row["check"] in chosen]
    if rows:
        _print_table(f"{verdict.gate} gate: what stopped it", rows)


def exit_code(error_class: str) -> int:
    """Give the exit code for an error's class name: 1 a gate, 2 refused input, 3 anything else."""
    found = getattr(errors, error_class, None)
    if isinstance(found, type) and issubclass(found, errors.GateFailed):
        return EXIT_GATE
    if isinstance(found, type) and issubclass(found, errors.Refused):
        return EXIT_REFUSED
    return EXIT_FAULT


def _print_table(title: str, rows: list[dict[str, str]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
    for column in rows[0] if rows else ():
        table.add_column(column, overflow="fold")
    for row in rows:
        style = STYLES.get(row.get("outcome", ""))
        cells = [
            f"[{style}]{value}[/]" if style and column == "outcome" else value.replace("[", "\\[")
            for column, value in row.items()
        ]
        table.add_row(*cells)
    Console().print(table)
