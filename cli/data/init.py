"""The command `init`: a file becomes a service, and a person decides what the file cannot tell."""

import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.data.questions import ask_for_roles, ask_for_strong, show_draft
from cli.options import Decimal, Delimiter, Encoding
from cli.output import report_waiting, say, warn
from sluice.errors import ChoiceNeeded
from sluice.home import CONFIGS, SUITES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from sluice.data.time_functions import TimeFunction
    from sluice.profile.draft import Draft, InitOptions, Roles
    from sluice.profile.facts.cells import GuessOptions
    from sluice.profile.facts.roles import Guess

commands = typer.Typer()
HEAD = 50
"""Lines of a file among which its names are looked for."""


@commands.command(rich_help_panel="Data")
def init(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    file: Annotated[str, typer.Argument(help="Parquet or CSV, the columns of every later file.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    id_column: Annotated[str, typer.Option("--id", help="Column that names each row.")] = "",
    time: Annotated[str, typer.Option(help="Column that orders rows in time; or none.")] = "",
    sensitive: Annotated[str, typer.Option(help="Columns, comma between; or none.")] = "",
    reason: Annotated[str, typer.Option(help="Why none is sensitive.")] = "",
    kind: Annotated[
        Literal["binary", "multiclass", "regression"] | None,
        typer.Option(help="Kind of problem; else guessed."),
    ] = None,
    positive: Annotated[str, typer.Option(help="Class to detect.")] = "",
    favourable: Annotated[
        str, typer.Option(help="Class that is good for a person; needed with sensitive columns.")
    ] = "",
    group: Annotated[
        str, typer.Option(help="Column whose rows stay on one side of the split; or none.")
    ] = "",
    keep: Annotated[
        str, typer.Option(help="Features known before the outcome, however strong; comma between.")
    ] = "",
    service: Annotated[str, typer.Option(help="Name of the service; else the file's.")] = "",
    force: Annotated[bool, typer.Option(help="Overwrite the service's files.")] = False,
    delimiter: Delimiter = "",
    encoding: Encoding = "",
    decimal: Decimal = "",
    zone: Annotated[str, typer.Option(help="Time zone of times that have none.")] = "UTC",
    dates: Annotated[
        Literal["day-first", "month-first"] | None,
        typer.Option(help="Order of day and month, where both would do."),
    ] = None,
) -> None:
    """Make a service from a file: configuration, data rules, and what its gates can tell."""
    from sluice.profile.draft import InitOptions
    from sluice.profile.facts.cells import GuessOptions

    options = InitOptions(
        target=target,
        id=id_column,
        time=time,
        kind=kind or "",
        positive=positive,
        sensitive=sensitive,
        reason=reason,
        service=service,
        favourable=favourable,
        group=group,
        keep=keep,
    )
    guesses = GuessOptions(delimiter, encoding, decimal, zone, dates or "")
    start_service(file, options, force, guesses)


def start_service(
    file: str, options: "InitOptions", force: bool, guesses: "GuessOptions | None" = None
) -> None:
    """Profile a file, write the service's two files, and print what was guessed.

    Raises:
        Refused: the file, an option or the name is not allowed; nothing is written.
        Fault: a file or folder cannot be reached.
    """
    from sluice.adapters.tables.files import read_unknown
    from sluice.adapters.validation.suite_file import check_free, write_service
    from sluice.profile.document import write_document
    from sluice.profile.draft import assign_roles, draft_service, name_service
    from sluice.profile.facts.repairs import (
        check_classes,
        check_content,
        check_roles,
        is_text_file,
        list_notices,
    )
    from sluice.profile.facts.sensitive import read_sensitive
    from sluice.profile.facts.sizes import list_classes
    from sluice.profile.rules import propose_rules

    path = Path(file)
    service = name_service(path, options.service)
    if not force:
        check_free(service, CONFIGS, SUITES)
    with _explain_titles(path):
        found = read_unknown(path, guesses)
    say(f"{path.name}: {found.table.num_rows:,} rows, {len(found.columns)} columns")
    for note in found.notes:
        say(note.text) if not note.loud else warn(note.text)
    columns = list_classes(found.columns, found.table, options.target)
    check_content(path, found.table, columns, found.reading, options.target)
    for notice in list_notices(found.table, columns, options.target, is_text_file(path)):
        warn(notice)
    options = ask_for_roles(columns, options)
    chosen = (options.target, options.id, options.time)
    check_roles(path, found.table, columns, found.reading, chosen)
    roles = assign_roles(columns, options, str(path))
    check_classes(path, roles.target, roles.problem.value, found.reading)
    names, reason = _decide_sensitive(columns, roles.taken, options)
    sensitive = read_sensitive(names, reason, columns, roles.taken)
    roles = replace(roles, sensitive=sensitive, reason=reason)
    roles = replace(roles, favourable=_decide_favourable(roles, options))
    frame = _sample(found.table)
    with report_waiting("measuring columns and a trial model"):
        draft = draft_service(service, path.name, frame, columns, roles)
    if keep := ask_for_strong(draft):
        draft = draft_service(service, path.name, frame, columns, replace(roles, keep=keep))
    draft = draft.read_by(found.reading)
    follows = _find_time_functions(frame, draft)
    medians = {str(name): float(value) for name, value in frame.median(numeric_only=True).items()}
    document, rules = write_document(draft), propose_rules(draft, follows, medians)
    written = write_service(service, document, rules, CONFIGS, SUITES)
    show_draft(draft)
    for item in follows.values():
        say(f"function of time: {item.column} {item.description}: no rule on its old values")
    say(f"written    {written[0]}: read it, every guess has its reason")
    say(f"           {written[1]}: {len(rules)} rules; `sluice expect {service}` lists them")
    say(f"next       sluice ingest {service} {file}")
    say(f"           sluice release {service}")


@contextmanager
def _explain_titles(path: Path) -> "Iterator[None]":
    """Say in an error of reading where the names of a CSV file seem to be, if not in line 1."""
    from sluice.adapters.tables.csv_file import guess_encoding, open_text
    from sluice.errors import DataInvalid
    from sluice.profile.facts.repairs import explain_header, is_text_file

    try:
        yield
    except DataInvalid as error:
        hint = ""
        if path.is_file() and path.stat().st_size and is_text_file(path):
            with suppress(OSError, UnicodeError), open_text(path, guess_encoding(path)) as text:
                hint = explain_header(path, list(islice(text, HEAD)))
        if not hint:
            raise
        raise type(error)(f"{error}; {hint}") from error


def _find_time_functions(frame: "pd.DataFrame", draft: "Draft") -> "dict[str, TimeFunction]":
    """Return the columns whose values the time determines, by name."""
    from sluice.data.time_functions import find_time_functions

    others = tuple(name for name in draft.data.columns if name not in draft.roles.taken)
    return find_time_functions(frame, draft.data.time, others)


def _decide_sensitive(columns: Any, taken: set[str], options: "InitOptions") -> tuple[str, str]:
    """Return the sensitive columns and the reason if there are none; ask at a terminal.

    Raises:
        ChoiceNeeded: the options say nothing, and there is no terminal to ask at.
    """
    from sluice.profile.facts.sensitive import ask_for_sensitive, suspect_sensitive

    if options.sensitive:
        return options.sensitive, options.reason
    suspects = suspect_sensitive(columns, taken)
    if not sys.stdin.isatty():
        raise ChoiceNeeded(ask_for_sensitive(suspects, columns))
    for name, clue in suspects.items():
        say(f"perhaps sensitive: {name}, {clue}")
    names = typer.prompt("Columns that name groups of people (comma between), or none")
    reason = options.reason
    if names.strip().lower() == "none" and not reason:
        reason = typer.prompt("Why is there none")
    return names, reason


def _decide_favourable(roles: "Roles", options: "InitOptions") -> "Guess | None":
    """Return the class that is good for a person; ask at a terminal where groups are compared.

    Raises:
        ChoiceNeeded: the options do not say it, and there is no terminal to ask at.
    """
    from sluice.profile.facts.sensitive import find_favourable, suspect_harmful

    if not roles.sensitive and not options.favourable:
        return None
    choice, problem = options.favourable, roles.problem.value
    named = problem == "multiclass" and options.positive
    if problem != "regression" and not choice and not named and sys.stdin.isatty():
        for value, clue in suspect_harmful(roles.target).items():
            say(f"probably harmful: {value}, {clue}")
        classes = ", ".join(str(level) for level in roles.target.levels)
        choice = typer.prompt(
            f"Which class of '{roles.target.name}' is good for a person ({classes})"
        )
    return find_favourable(roles.target, problem, choice, roles.positive)


def _sample(table: Any) -> "pd.DataFrame":
    """Return the rows that are measured: all, or a sample that takes seconds."""
    import numpy as np

    from sluice.profile.draft import SAMPLED

    if table.num_rows > SAMPLED:
        chosen = np.random.default_rng(0).choice(table.num_rows, SAMPLED, replace=False)
        table = table.take(np.sort(chosen))
        say(
            f"leakage and the trial are measured on a sample of {SAMPLED:,} rows; "
            "kinds, nulls, ranges and ids on every row"
        )
    frame: pd.DataFrame = table.to_pandas()
    return frame
