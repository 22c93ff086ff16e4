"""Commands about a service's data: make a service from a file, edit its data rules, ingest."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.output import say, show_rows
from sluice.config.data import DataConfig
from sluice.config.loading import load_service
from sluice.errors import ChoiceNeeded, RuleInvalid
from sluice.home import CONFIGS, SUITES
from tasks.run.tags import environment_name

if TYPE_CHECKING:
    import pandas as pd

    from sluice.profile.draft import Draft, InitOptions


def start_service(file: str, wishes: "InitOptions", force: bool) -> None:
    """Profile a file, write the service's two files, and say what was guessed and what it means.

    Raises:
        Refused: the file, a flag or the name will not do; nothing is written.
        Fault: a file or folder cannot be reached.
    """
    from sluice.adapters.tables.files import read_unknown
    from sluice.adapters.validation.suite_file import check_free, write_service
    from sluice.profile.document import write_document
    from sluice.profile.draft import assign_roles, draft_service, name_service
    from sluice.profile.roles import read_sensitive
    from sluice.profile.rules import propose_rules

    path = Path(file)
    service = name_service(path, wishes.service)
    if not force:
        check_free(service, CONFIGS, SUITES)
    found = read_unknown(path)
    say(f"{path.name}: {found.table.num_rows:,} rows, {len(found.columns)} columns")
    roles = assign_roles(found.columns, wishes, str(path))
    asked, reason = _decide_sensitive(found.columns, roles.taken, wishes)
    sensitive = read_sensitive(asked, reason, found.columns, roles.taken)
    frame = _sample(found.table)
    roles = replace(roles, sensitive=sensitive, reason=reason)
    draft = draft_service(service, path.name, frame, found.columns, roles)
    document, rules = write_document(draft), propose_rules(draft)
    written = write_service(service, document, rules, CONFIGS, SUITES)
    _tell(draft)
    say(f"written    {written[0]}: read it, every guess has its reason")
    say(f"           {written[1]}: {len(rules)} rules; `sluice expect {service}` lists them")
    say(f"next       sluice ingest {service} {file}")
    say(f"           sluice release {service}")


def _decide_sensitive(columns: Any, taken: set[str], wishes: "InitOptions") -> tuple[str, str]:
    """Give what was said of sensitive columns, asking where a person sits at the terminal.

    Raises:
        ChoiceNeeded: nothing was said, and nobody is there to ask.
    """
    from sluice.profile.roles import ask_for_sensitive, suspect_sensitive

    if wishes.sensitive:
        return wishes.sensitive, wishes.reason
    suspects = suspect_sensitive(columns, taken)
    if not sys.stdin.isatty():
        raise ChoiceNeeded(ask_for_sensitive(suspects))
    for name, why in suspects.items():
        say(f"perhaps sensitive: {name}, {why}")
    asked = typer.prompt("Columns that name groups of people (comma between), or none")
    reason = wishes.reason
    if asked.strip().lower() == "none" and not reason:
        reason = typer.prompt("Why is there none")
    return asked, reason


def _sample(table: Any) -> "pd.DataFrame":
    """Give the rows that are measured: all, or as many as keep it to seconds."""
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


def _tell(draft: "Draft") -> None:
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
    rows = [{"what": what, "guess": value, "why": why} for what, value, why in guesses]
    show_rows("Guessed", rows)
    for item in draft.leaks:
        say(
            f"leaks: {item.feature} tells {draft.data.target} alone (power {item.power:.3f}, limit "
            f"{draft.data.leakage.limit:g}): left out; put it back only if it is known beforehand"
        )
    for column in draft.columns:
        if column.constant:
            say(f"constant: {column.name} has one value in every row: left out")
    show_rows("What the gates can tell at this size", describe_prospects(draft))


ACTIONS = "add COLUMN RULE VALUES; edit NUMBER VALUES; remove NUMBER"


def change_rules(service: str, action: str, words: list[str]) -> None:
    """List a service's rules, or add, edit or remove one; the others keep their ids.

    Raises:
        Refused: the service, the action, a column, a rule or a value will not do.
        Fault: the suite's file cannot be written.
    """
    from sluice.adapters.validation.suite_file import read_suite, write_suite

    data = load_service(service, environment_name()).data
    suite = read_suite(SUITES, data.suite)
    if not action:
        list_rules(service, suite["expectations"])
        return
    told = apply_change(suite["expectations"], data, action, words)
    write_suite(SUITES, data.suite, suite)
    say(f"{told}; {len(suite['expectations'])} rules")


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
    rules: list[dict[str, Any]], data: DataConfig, action: str, words: list[str]
) -> str:
    """Change the list of rules in place, and say what was done.

    Raises:
        RuleInvalid: the action is unknown or lacks words, or what it asks for cannot be.
    """
    from sluice.adapters.validation.rules import name_rule
    from sluice.adapters.validation.suite_file import build_expectation
    from sluice.profile import rules as changes

    if action == "add" and len(words) >= 2:
        made = changes.make_rule(data, words[0], words[1], words[2:])
        changes.check_new(rules, made)
        rules.append(build_expectation(made))
        return f"added {len(rules)}: {name_rule(made.type, made.kwargs)}"
    if action == "edit" and len(words) >= 1:
        place = changes.find_rule(rules, words[0])
        rules[place] = changes.edit_rule(rules[place], data, words[1:])
        return f"edited {place + 1}: {name_rule(rules[place]['type'], rules[place]['kwargs'])}"
    if action == "remove" and len(words) == 1:
        place = changes.find_rule(rules, words[0])
        changes.check_removable(rules[place], data)
        gone = rules.pop(place)
        return f"removed {place + 1}: {name_rule(gone['type'], gone['kwargs'])}"
    found = " ".join([action, *words])
    raise RuleInvalid(f"found '{found}'; allowed: {ACTIONS}, or nothing for the list")
