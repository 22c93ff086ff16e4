"""What `init` asks at a terminal where two answers are likely, and what it shows of a draft."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from cli.output import say, show_rows

if TYPE_CHECKING:
    from sluice.profile.draft import Draft, InitOptions
    from sluice.profile.facts.columns import ColumnFacts
    from sluice.profile.facts.roles import Guess


def ask_for_roles(columns: "tuple[ColumnFacts, ...]", options: "InitOptions") -> "InitOptions":
    """Return the options with the id, time and group that a person chose among likely ones.

    Without a terminal nothing is asked, and what is unclear is refused later.
    """
    from sluice.profile.facts.roles import list_groups, list_ids, list_times

    if not sys.stdin.isatty():
        return options
    if not options.id:
        found = list_ids(columns, options.target)
        options = replace(options, id=_ask("Which column names each row", found))
    taken = {options.id, options.target}
    if not options.time:
        found = list_times(columns, taken)
        answer = _ask("Which column says when a row happened (or none)", found)
        options = replace(options, time=answer)
    if not options.group:
        found = list_groups(columns, {*taken, options.time})
        answer = _ask("Which column's rows stay on one side of the split (or none)", found)
        options = replace(options, group=answer)
    return options


def _ask(question: str, found: "tuple[Guess, ...]") -> str:
    """Return the answer to a question with several likely answers; empty where it is clear."""
    if len(found) < 2:
        return ""
    for item in found:
        say(f"perhaps: {item.value}, {item.reason}")
    return str(typer.prompt(question))


def ask_for_strong(draft: "Draft") -> tuple[str, ...]:
    """Return the features to keep where an answer at the terminal changes the draft.

    Empty where nothing is doubtful, where each answer agrees with the draft, or without a terminal.
    """
    doubtful = [item for item in draft.strong if item.doubtful and not item.kept]
    if not doubtful or not sys.stdin.isatty():
        return ()
    kept = []
    for item in doubtful:
        say(f"{item.name}: {item.reason}")
        if typer.confirm(f"Is {item.name} known before the outcome", default=False):
            kept.append(item.name)
    return (*draft.roles.keep, *kept) if kept else ()


def show_draft(draft: "Draft") -> None:
    """Print what was guessed, what was left out and its cost, and what the gates can tell."""
    from sluice.profile.limits import describe_prospects

    roles, trial = draft.roles, draft.trial
    guesses = [
        ("id", roles.id.value, roles.id.reason),
        ("time", roles.time.value or "none", roles.time.reason),
        ("problem", draft.problem, roles.problem.reason),
        ("features", str(len(draft.data.features)), f"not: {', '.join(draft.left_out)}"),
        ("model", trial.model.kind, trial.other),
        ("split", draft.split.by, _describe_split(draft)),
    ]
    if roles.positive:
        guesses.insert(3, ("positive", str(roles.positive.value), roles.positive.reason))
    if roles.group:
        guesses.append(
            ("group", str(roles.group.value), f"{roles.group.reason}; else --group none")
        )
    rows = [{"what": what, "guess": value, "reason": reason} for what, value, reason in guesses]
    show_rows("Guessed", rows)
    _show_left_out(draft)
    show_rows("What the gates can tell at this size", describe_prospects(draft))


def _describe_split(draft: "Draft") -> str:
    unusual = f"; {draft.unusual}" if draft.unusual else ""
    return f"{draft.held_out:,} of {draft.rows:,} rows are held out{unusual}"


def _show_left_out(draft: "Draft") -> None:
    from sluice.profile.limits import describe_cost, is_implausible

    used = {draft.roles.id.value, draft.roles.target.name, draft.roles.time.value}
    costs = {cost.columns[0]: describe_cost(cost) for cost in draft.costs if len(cost.columns) == 1}
    rows = [
        {"column": name, "reason": reason, "cost": costs.get(name, "")}
        for name, reason in draft.left_out.items()
        if name not in used
    ]
    if rows:
        show_rows("Left out of the features", rows)
    for cost in draft.costs:
        if len(cost.columns) > 1:
            say(f"all {len(cost.columns)} strong or sensitive columns: {describe_cost(cost)}")
    for item in draft.strong:
        if item.kept:
            say(f"strong     {item.name}: {item.reason}; the data gate lists it each time")
    if any(item.doubtful and not item.kept for item in draft.strong):
        say("           a column that is known before the outcome comes back with --keep COLUMN")
    if is_implausible(draft.trial.primary):
        figure = draft.trial.primary
        say(
            f"too good   {figure.metric} {figure.model.value or 0.0:.3f} in the trial: several "
            "columns together may tell the outcome; check when each is filled in, and remove "
            "those that are known only afterwards from data.features"
        )
