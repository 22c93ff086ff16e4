"""Listing and changing the data rules of a service, by number."""

from typing import Any

from flows.terminal import say, show_rows
from sluice.config.data import DataConfig
from sluice.config.loading import load_service
from sluice.errors import RuleInvalid
from sluice.home import SUITES
from tasks.settings import environment_name

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
    from sluice.profile.rule_changes import describe_rule

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
    from sluice.profile import rule_changes as changes

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
