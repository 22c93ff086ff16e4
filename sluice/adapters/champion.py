"""The champion moved by a person: control store first, then the registry's aliases.

Nothing here needs Prefect. The route decides who serves, so it moves first; what follows it may
fail and is completed by the keeper or by the next command.
"""

import getpass
import os
import socket
from datetime import UTC, datetime

from sluice.adapters.control.commands import require_reason
from sluice.adapters.control.store import Control
from sluice.adapters.registry.aliases import PREVIOUS
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.versions import check_verdicts
from sluice.control.command import Author
from sluice.control.route import Route
from sluice.control.timeline import NONE, RESTORE, ROLLBACK, TimelineEntry
from sluice.errors import RegistryUnavailable, RolloutRefused


def name_terminal() -> str:
    """Return the origin of what a person does in this process: user, machine and process."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = str(os.getuid())
    return f"terminal {user}@{socket.gethostname()}, process {os.getpid()}"


def roll_back_champion(
    control: Control, registry: Registry, service: str, by: Author
) -> TimelineEntry:
    """Make the version that served before serve again; after that there is no previous one.

    The store knows which version served before. The registry is asked only where the store has no
    record of it. The same call again, of the same origin, completes an interrupted one.

    Raises:
        CommandRefused: name or reason are missing.
        RolloutRefused: there is no version to go back to, or a rollout is under way.
        PromotionRefused: the version did not pass every gate.
        Fault: the store, or the registry where it is needed, cannot be reached.
    """
    require_reason(ROLLBACK, by.by, by.reason)
    if done := _find_done(control, service, ROLLBACK, by):
        return done
    route, previous = _require_route(control, service), control.champions.find_previous(service)
    if previous is None:
        found = registry.find_alias(service, PREVIOUS)
        if found is not None:
            check_verdicts(found)
        previous = found.version if found else NONE
    if previous in (NONE, route.champion):
        raise RolloutRefused(
            f"{service} has no previous version; next: `sluice restore {service} VERSION`"
        )
    return _move(control, route, ROLLBACK, previous, by)


def restore_champion(
    control: Control, registry: Registry, service: str, version: int, by: Author
) -> TimelineEntry:
    """Make an earlier version serve that passed its gates; the former one becomes `previous`.

    While the registry is away, a version that the store knows to have served is restored too.

    Raises:
        CommandRefused: name or reason are missing.
        RolloutRefused: there is no such version, or a rollout is under way.
        PromotionRefused: the version did not pass every gate.
        Fault: the store or the registry cannot be reached.
    """
    require_reason(RESTORE, by.by, by.reason)
    if done := _find_done(control, service, RESTORE, by):
        return done
    try:
        found = find_version(registry, service, version)
        if found is None:
            raise RolloutRefused(f"{service} has no v{version}")
        check_verdicts(found)
    except RegistryUnavailable:
        if not control.timeline.has_served(service, version):
            raise
    return _move(control, _require_route(control, service), RESTORE, version, by)


def settle_aliases(control: Control, registry: Registry, service: str) -> TimelineEntry | None:
    """Make the aliases follow the last move by a person; return it, None if they have already.

    Raises:
        RolloutRefused: the registry has no such version any more.
        Fault: the store or the registry cannot be reached.
    """
    moved = control.champions.find_unsettled(service)
    if moved is None or moved.version is None:
        return None
    if find_version(registry, service, moved.version) is None:
        raise RolloutRefused(
            f"{service}: v{moved.version} serves, but the registry has no such version: a gateway "
            "without it in its cache cannot serve it; "
            f"next: `sluice restore {service} VERSION --by NAME --reason WORDS`"
        )
    before = registry.make_champion(service, moved.version)
    if before and moved.action == ROLLBACK:
        registry.drop_previous(service, before.version)
    control.champions.settle(moved)
    return moved


def _find_done(control: Control, service: str, action: str, by: Author) -> TimelineEntry | None:
    """Return the move that the same call has made already, if its reply was lost."""
    last = control.timeline.find_change(service)
    same = last is not None and (last.action, last.by, last.reason, last.origin) == (
        *(action, by.by.strip(), by.reason.strip(), by.origin),
    )
    return last if same and by.origin else None


def _require_route(control: Control, service: str) -> Route:
    route = control.routes.find(service)
    if route is None:
        raise RolloutRefused(f"{service} has no champion yet; next: `sluice release {service}`")
    return route


def _move(control: Control, seen: Route, action: str, version: int, by: Author) -> TimelineEntry:
    previous = NONE if action == ROLLBACK else seen.champion
    if version == seen.champion:  # nothing to go back to changes
        previous = control.champions.find_previous(seen.service) or NONE
    entry = TimelineEntry(
        service=seen.service,
        at=datetime.now(UTC),
        action=action,
        version=version,
        by=by.by.strip(),
        reason=by.reason.strip(),
        origin=by.origin,
        message=f"v{version} is champion",
        previous=previous,
    )
    return control.champions.move(entry, seen)
