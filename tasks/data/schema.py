"""What is said where a batch, a table and a configuration have different columns."""

import shlex
from collections.abc import Mapping

from sluice.adapters.tables.delta import find_kinds, read_changes, read_kinds
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import Delivery
from sluice.data.evolution import SchemaChange, change_kinds, type_change
from sluice.errors import DataInvalid, SchemaDiffers, SchemaRefused
from sluice.home import find_home

SHOWN = 3
"""Most columns that a message describes."""


def check_table(config: ServiceConfig) -> None:
    """Check that a service's table, if there is one, has the configuration's columns and kinds.

    Raises:
        DataInvalid: it has not; the message has the command that makes them the same.
        DataUnavailable: the table cannot be reached.
    """
    stored = find_kinds(find_home().table(config.service))
    if stored is not None and stored != config.data.columns:
        raise DataInvalid(
            f"{config.service}: {explain_difference(config, stored, config.data.columns)}"
        )


def advise_change(config: ServiceConfig, delivery: Delivery, error: SchemaDiffers) -> DataInvalid:
    """Return the refusal of a delivery with the commands that would let it in."""
    if not error.changes:
        return error
    changes = [change for change in error.changes if not _is_refused(config, change)]
    if not changes:
        return DataInvalid(
            f"{error}; next: correct it at its source, because the id, the time and the "
            "target stay as they are"
        )
    for place, change in enumerate(changes):
        if change.startswith("add ") and delivery.kind == "files":
            words = shlex.split(change)[:2] if change.endswith(" text") else shlex.split(change)
            changes[place] = f"{shlex.join(words)} --from {shlex.quote(delivery.source)}"
        elif change.startswith("add ") and len(shlex.split(change)) == 2:
            changes[place] += " KIND"
    commands = type_commands(config.service, changes)
    return DataInvalid(f"{error}; next, if the change is meant: {commands}")


def _is_refused(config: ServiceConfig, change: str) -> bool:
    """Return whether the command would refuse a change: of the id, the time or the target."""
    action, column = shlex.split(change)[:2]
    fixed = {config.data.id, config.data.time}
    if action != "widen" or config.problem != "regression":
        fixed.add(config.data.target)
    return action in ("widen", "drop") and column in fixed


def explain_difference(
    config: ServiceConfig, stored: Mapping[str, str], configured: Mapping[str, str]
) -> str:
    """Return how the table's columns differ from the configuration's, and the next command."""
    names = [name for name in {**stored, **configured} if stored.get(name) != configured.get(name)]
    words = ", ".join(
        f"'{name}' is {stored.get(name, 'missing')} in the table and "
        f"{configured.get(name, 'missing')} in the configuration"
        for name in names[:SHOWN]
    )
    return f"column {words}; next: {type_commands(config.service, _propose(config, stored, names))}"


def _propose(config: ServiceConfig, stored: Mapping[str, str], names: list[str]) -> list[str]:
    """Return the changes that make the table and the configuration the same."""
    uri = find_home().table(config.service)
    recorded = read_changes(uri)
    if recorded and _is_unfinished(config, recorded[-1].change, read_kinds(uri)):
        return [type_change(recorded[-1].change)]
    configured = config.data.columns
    proposed = []
    for name in names:
        if name not in stored:
            proposed.append(SchemaChange("add", name, configured[name]))
        elif name not in configured:
            proposed.append(SchemaChange("drop", name))
        else:
            proposed.append(SchemaChange("widen", name, configured[name]))
    return [type_change(change) for change in proposed]


def _is_unfinished(config: ServiceConfig, change: SchemaChange, stored: Mapping[str, str]) -> bool:
    """Return whether the table is after a change that the configuration is before."""
    try:
        return change_kinds(config.data.columns, change) == dict(stored)
    except SchemaRefused:
        return False


def type_commands(service: str, changes: list[str]) -> str:
    """Return the commands that make changes of a service's schema, as they are typed."""
    commands = [
        f"`sluice schema {service} {change} --by NAME --reason WORDS`" for change in changes
    ]
    return ", ".join(commands)
