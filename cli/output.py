"""How results are printed: lines, tables of verdicts and their checks, exit codes."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, TextIO

from sluice import errors
from sluice.report.verdict_table import summary_rows, verdict_rows
from sluice.verdict import Outcome, Verdict

QUIET_SECONDS = 3.0
"""Longest silence while something is waited for."""
POLL_SECONDS = 0.2
"""Pause between two looks at what is waited for."""
LONG_SECONDS = 60.0
"""After so long, lines of progress become rare."""
RED, PLAIN = "\033[31m", "\033[0m"
ERASE = "\r\033[2K"
EXIT_GATE, EXIT_REFUSED, EXIT_FAULT = 1, 2, 3
MOST = 8
"""How many checks are printed; the run's page has all."""
PIPE_WIDTH = 120
"""Columns of a table that does not go to a terminal."""
FIGURES = ("check", "outcome", "measured", "interval", "limit", "n")
UNWRAPPED = {"alert", "gate", "outcome", "measured", "interval", "limit", "n"}
STYLES = {
    "ok": "green",
    "no": "red",
    "pass": "green",
    "fail": "red",
    "insufficient": "yellow",
    "listed": "dim",
}


class _Live:
    """The line that is rewritten, and when anything was printed last."""

    shown = ""
    printed = 0.0
    reported = 0.0
    """When another part reported what it waits for."""
    leaves_stdout = False
    """Whether all of it goes to stderr, because stdout has lines of JSON."""
    is_ready = False
    """Whether the command has started and only waits for its end by a person."""
    waits: ClassVar[list[threading.Event]] = []
    """What is waited for, the innermost last."""


def say(message: str) -> None:
    """Print one line at once."""
    _clear()
    _Live.printed = time.monotonic()
    print(message, file=_find_stream(), flush=True)


def leave_stdout() -> None:
    """Print to stderr from now on: stdout is for the lines of the log."""
    _Live.leaves_stdout = True


def warn(message: str) -> None:
    """Print one line at once, in red at a terminal."""
    say(f"{RED}{message}{PLAIN}" if sys.stdout.isatty() else message)


def report(message: str) -> None:
    """Print a line of something that starts or ends; two spaces in front: it continues.

    Such a line is progress, which a terminal shows in one line that is rewritten.
    """
    if message.startswith("  "):
        _Live.reported = time.monotonic()
        report_progress(message)
    else:
        say(message)


def report_progress(message: str) -> None:
    """Show what is being waited for, in one line that a terminal rewrites.

    Elsewhere a line goes to stderr if nothing was printed for three seconds.
    """
    now, text = time.monotonic(), f"  {message.strip()}"
    _Live.printed = _Live.printed or now
    if sys.stdout.isatty():
        if text != _Live.shown:
            width = shutil.get_terminal_size().columns
            sys.stdout.write(f"{ERASE}{text[: width - 1]}")
            sys.stdout.flush()
            _Live.shown = text
    elif now - _find_last() >= QUIET_SECONDS:
        _Live.printed = now
        print(text, file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def report_waiting(subject: str) -> Iterator[None]:
    """Show what the block does and for how long, whenever it prints nothing for three seconds.

    A task of a flow that runs meanwhile is shown by its own name, and so is a wait inside this one.
    After a minute of silence a line is printed every half minute, where there is no terminal.
    """
    ended = threading.Event()

    def show() -> None:
        began, name = time.monotonic(), ""
        while not ended.wait(POLL_SECONDS):
            now, before = time.monotonic(), name
            name = _read_stage()[0] or subject
            began = began if name == before else now
            patience = QUIET_SECONDS if now - began < LONG_SECONDS else LONG_SECONDS / 2
            rewritten = sys.stdout.isatty()  # a terminal shows each second
            silent = now - max(_find_last(), _Live.reported)
            is_shown = _Live.waits[-1:] == [ended] and not _Live.is_ready
            if is_shown and silent >= (QUIET_SECONDS if rewritten else patience):
                with suppress(OSError):  # a closed terminal ends nothing
                    report_progress(f"{name}, {now - began:.0f} s")

    _Live.is_ready, _Live.printed = False, time.monotonic()
    _Live.waits.append(ended)
    thread = threading.Thread(target=show, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _Live.waits.remove(ended)
        _clear()


def note_ready() -> None:
    """Say no more what is waited for: the command stays up until a person ends it."""
    _clear()
    _Live.is_ready = True


def _find_stream() -> TextIO:
    return sys.stderr if _Live.leaves_stdout else sys.stdout


def _find_last() -> float:
    """Return when a line was printed last, by this module or by a flow's log."""
    return max(_Live.printed, _read_stage()[1])


def _read_stage() -> tuple[str, float]:
    """Return the running task's name and when its flow logged last; nothing without a flow."""
    console = sys.modules.get("tasks.run.console")
    return (console.CurrentTask.name, console.CurrentTask.printed) if console else ("", 0.0)


def _clear() -> None:
    if _Live.shown:
        sys.stdout.write(ERASE)
        sys.stdout.flush()
        _Live.shown = ""


def show_verdicts(title: str, verdicts: list[Verdict]) -> None:
    """Print one row a gate, and below it the checks that did not pass."""
    show_rows(title, summary_rows(verdicts))
    for verdict in verdicts:
        if verdict.passed:
            continue
        deciding = [
            check
            for check in verdict.checks
            if check.outcome in (Outcome.FAIL, Outcome.INSUFFICIENT)
        ]
        show_checks(verdict, deciding)


def show_checks(verdict: Verdict, checks: list[Any]) -> None:
    """Print the given checks of a verdict, figures beside limits."""
    chosen = {check.name for check in checks}
    rows = [row for row in verdict_rows(verdict) if row["check"] in chosen]
    if rows:
        show_rows(f"{verdict.gate} gate: what stopped it", rows[:MOST], FIGURES)
    if len(rows) > MOST:
        say(f"  and {len(rows) - MOST} more; the run's page has the whole table")


def exit_code(error_class: str) -> int:
    """Return the exit code for an error's class name: 1 a gate, 2 refused input, 3 other."""
    found = getattr(errors, error_class, None)
    if isinstance(found, type) and issubclass(found, errors.GateFailed):
        return EXIT_GATE
    if isinstance(found, type) and issubclass(found, errors.Refused):
        return EXIT_REFUSED
    return EXIT_FAULT


def show_rows(title: str, rows: list[dict[str, str]], columns: tuple[str, ...] = ()) -> None:
    """Print rows as a table, all columns or the chosen ones; outcomes are coloured."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    chosen = columns or tuple(rows[0] if rows else ())
    for column in chosen:
        table.add_column(column, overflow="fold", no_wrap=column in UNWRAPPED)
    for row in rows:
        cells = [row[column].replace("[", "\\[") for column in chosen]
        if "outcome" in chosen:
            place = chosen.index("outcome")
            cells[place] = f"[{STYLES.get(cells[place], 'default')}]{cells[place]}[/]"
        table.add_row(*cells)
    console = Console()
    width = console.width if console.is_terminal else PIPE_WIDTH
    Console(width=width, file=_find_stream()).print(table)
