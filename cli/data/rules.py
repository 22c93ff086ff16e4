"""The command `expect`: a service's data rules are listed or changed."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.options import Service
from cli.output import say, show_rows
from sluice.errors import RuleInvalid
from sluice.home import SUITES, environment_name

if TYPE_CHECKING:
    from sluice.config.data import DataConfig

PANEL = "Data"
ACTIONS = "add COLUMN RULE VALUES; edit NUMBER VALUES; remove NUMBER"
commands = typer.Typer()


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
