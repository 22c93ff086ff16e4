"""Commands about a service's data: init, expect, ingest."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.arguments import check_source
from cli.options import Service
from cli.output import report_waiting, say, show_rows
from cli.runs import open_terminal, run_ingest
from sluice.errors import ChoiceNeeded, RuleInvalid
from sluice.home import CONFIGS, SUITES, environment_name

if TYPE_CHECKING:
    import pandas as pd

    from sluice.config.data import DataConfig
    from sluice.profile.draft import Draft, InitOptions

PANEL = "Data"
ACTIONS = "add COLUMN RULE VALUES; edit NUMBER VALUES; remove NUMBER"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def init(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    file: Annotated[str, typer.Argument(help="Parquet or CSV, the columns of every later file.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    id_column: Annotated[str, typer.Option("--id", help="Column that names each row.")] = "",
    time: Annotated[str, typer.Option(help="Column that orders rows in time.")] = "",
    sensitive: Annotated[str, typer.Option(help="Columns, comma between; or none.")] = "",
    reason: Annotated[str, typer.Option(help="Why none is sensitive.")] = "",
    kind: Annotated[
        Literal["binary", "multiclass", "regression"] | None,
        typer.Option(help="Kind of problem; else guessed."),
    ] = None,
    positive: Annotated[str, typer.Option(help="Class to detect, or the favourable one.")] = "",
    service: Annotated[str, typer.Option(help="Name of the service; else the file's.")] = "",
    force: Annotated[bool, typer.Option(help="Overwrite the service's files.")] = False,
) -> None:
    """Make a service from a file: configuration, data rules, and what its gates can tell."""
    from sluice.profile.draft import InitOptions

    options = InitOptions(target, id_column, time, kind or "", positive, sensitive, reason, service)
    start_service(file, options, force)


@commands.command(rich_help_panel=PANEL, context_settings={"ignore_unknown_options": True})
def expect(
    service: Service,
    action: Annotated[
        Literal["add", "edit", "remove"] | None, typer.Argument(help="The list if left out.")
    ] = None,
    words: Annotated[
        list[str] | None, typer.Argument(help="add: COLUMN RULE VALUES; edit: NUMBER VALUES.")
    ] = None,
) -> None:
    """List a service's data rules by number, or change one."""
    change_rules(service, action or "", words or [])


@commands.command(rich_help_panel=PANEL)
def ingest(
    service: Service,
    source: Annotated[
        str, typer.Argument(help="Parquet, CSV or Delta table; the configured source if left out.")
    ] = "",
) -> None:
    """Append new rows as a version of a service's data, through the data gate."""
    check_source(service, source)
    with open_terminal(service):
        sys.exit(run_ingest(service, source).code)


def start_service(file: str, options: "InitOptions", force: bool) -> None:
    """Profile a file, write the service's two files, and print what was guessed.

    Raises:
        Refused: the file, an option or the name is not allowed; nothing is written.
        Fault: a file or folder cannot be reached.
    """
    from sluice.adapters.tables.files import read_unknown
    from sluice.adapters.validation.suite_file import check_free, write_service
    from sluice.profile.document import write_document
    from sluice.profile.draft import assign_roles, draft_service, name_service
    from sluice.profile.roles import read_sensitive
    from sluice.profile.rules import propose_rules

    path = Path(file)
    service = name_service(path, options.service)
    if not force:
        check_free(service, CONFIGS, SUITES)
    found = read_unknown(path)
    say(f"{path.name}: {found.table.num_rows:,} rows, {len(found.columns)} columns")
    roles = assign_roles(found.columns, options, str(path))
    names, reason = _decide_sensitive(found.columns, roles.taken, options)
    sensitive = read_sensitive(names, reason, found.columns, roles.taken)
    frame = _sample(found.table)
    roles = replace(roles, sensitive=sensitive, reason=reason)
    with report_waiting("measuring columns and a trial model"):
        draft = draft_service(service, path.name, frame, found.columns, roles)
    document, rules = write_document(draft), propose_rules(draft)
    written = write_service(service, document, rules, CONFIGS, SUITES)
    _show_draft(draft)
    say(f"written    {written[0]}: read it, every guess has its reason")
    say(f"           {written[1]}: {len(rules)} rules; `sluice expect {service}` lists them")
    say(f"next       sluice ingest {service} {file}")
    say(f"           sluice release {service}")


def _decide_sensitive(columns: Any, taken: set[str], options: "InitOptions") -> tuple[str, str]:
    """Return the sensitive columns and the reason if there are none; ask at a terminal.

    Raises:
        ChoiceNeeded: the options say nothing, and there is no terminal to ask at.
    """
    from sluice.profile.roles import ask_for_sensitive, suspect_sensitive

    if options.sensitive:
        return options.sensitive, options.reason
    suspects = suspect_sensitive(columns, taken)
    if not sys.stdin.isatty():
        raise ChoiceNeeded(ask_for_sensitive(suspects))
    for name, clue in suspects.items():
        say(f"perhaps sensitive: {name}, {clue}")
    names = typer.prompt("Columns that name groups of people (comma between), or none")
    reason = options.reason
    if names.strip().lower() == "none" and not reason:
        reason = typer.prompt("Why is there none")
    return names, reason


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


def _show_draft(draft: "Draft") -> None:
    from sluice.profile.limits import describe_prospects

    roles, trial = draft.roles, draft.trial
    guesses = [
        ("id", roles.id.value, roles.id.reason),
        ("time", roles.time.value or "none", roles.time.reason),
        ("problem", draft.problem, roles.problem.reason),
        ("features", str(len(draft.data.features)), f"not: {', '.join(draft.left_out)}"),
        ("model", trial.model.kind, trial.other),
        ("split", draft.split.by, f"{draft.held_out:,} of {draft.rows:,} rows are held out"),
    ]
    if roles.positive:
        guesses.insert(3, ("positive", str(roles.positive.value), roles.positive.reason))
    rows = [{"what": what, "guess": value, "reason": reason} for what, value, reason in guesses]
    show_rows("Guessed", rows)
    for item in draft.leaks:
        say(
            f"target leakage: {item.feature} alone predicts {draft.data.target} (power "
            f"{item.power:.3f}, limit {draft.data.leakage.limit:g}): left out; put it back only if "
            "it is known before the prediction"
        )
    for column in draft.columns:
        if column.constant:
            say(f"constant: {column.name} has one value in every row: left out")
    show_rows("What the gates can tell at this size", describe_prospects(draft))


def change_rules(service: str, action: str, words: list[str]) -> None:
    """List a service's rules, or add, edit or remove one; the others keep their ids.

    Raises:
        Refused: the service, the action, a column, a rule or a value is not allowed.
        Fault: the suite's file cannot be written.
    """
    from sluice.adapters.validation.suite_file import read_suite, write_suite
    from sluice.config.loading import load_service

    data = load_service(service, environment_name()).data
    suite = read_suite(SUITES, data.suite)
    if not action:
        list_rules(service, suite["expectations"])
        return
    change = apply_change(suite["expectations"], data, action, words)
    write_suite(SUITES, data.suite, suite)
    say(f"{change}; {len(suite['expectations'])} rules")


def list_rules(service: str, rules: list[dict[str, Any]]) -> None:
    """Print each rule's number, the name that verdicts use, and its values."""
    from sluice.adapters.validation.rules import name_rule
    from sluice.profile.rules import describe_rule

    rows = [
        {
            "number": str(number),
            "rule": name_rule(rule["type"], rule["kwargs"]),
            "values": describe_rule(rule),
            "notes": rule.get("notes") or "",
        }
        for number, rule in enumerate(rules, 1)
    ]
    show_rows(f"Rules of {service}", rows)
    say(f"sluice expect {service} {ACTIONS}")


def apply_change(
    rules: list[dict[str, Any]], data: "DataConfig", action: str, words: list[str]
) -> str:
    """Change the list of rules in place, and return a description of the change.

    Raises:
        RuleInvalid: the action is unknown, lacks words, or cannot be applied.
    """
    from sluice.adapters.validation.rules import name_rule
    from sluice.adapters.validation.suite_file import build_expectation
    from sluice.profile import rules as changes

    if action == "add" and len(words) >= 2:
        rule = changes.make_rule(data, words[0], words[1], words[2:])
        changes.check_new(rules, rule)
        rules.append(build_expectation(rule))
        return f"added {len(rules)}: {name_rule(rule.type, rule.kwargs)}"
    if action == "edit" and len(words) >= 1:
        place = changes.find_rule(rules, words[0])
        rules[place] = changes.edit_rule(rules[place], data, words[1:])
        return f"edited {place + 1}: {name_rule(rules[place]['type'], rules[place]['kwargs'])}"
    if action == "remove" and len(words) == 1:
        place = changes.find_rule(rules, words[0])
        changes.check_removable(rules[place], data)
        removed = rules.pop(place)
        return f"removed {place + 1}: {name_rule(removed['type'], removed['kwargs'])}"
    found = " ".join([action, *words])
    raise RuleInvalid(f"found '{found}'; allowed: {ACTIONS}, or nothing for the list")
