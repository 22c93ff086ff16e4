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
from sluice.adapters.registry.client import Registry
from sluice.adapters.service_versions import ServiceVersions, VersionRecord, open_versions
from sluice.control.admission import say_missing
from sluice.control.command import Author
from sluice.control.route import Route
from sluice.control.timeline import FORCED, NONE, RESTORE, ROLLBACK, TimelineEntry
from sluice.errors import PromotionRefused, RegistryUnavailable, RolloutRefused


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

    The store knows which version served before, and that it was admitted. The registry is asked
    only where the store has no record of that. The same call again, of the same origin, completes
    an interrupted one.

    Raises:
        CommandRefused: name or reason are missing.
        RolloutRefused: there is no version to go back to, or a rollout is under way.
        PromotionRefused: the version did not pass every gate, and there is no exception for it.
        Fault: the store, or the registry where it is needed, cannot be reached.
    """
    require_reason(ROLLBACK, by.by, by.reason)
    if done := _find_done(control, service, (ROLLBACK,), by):
        return done
    route = _require_route(control, service)
    previous = _find_admitted(control, registry, service)
    if previous in (NONE, route.champion):
        raise RolloutRefused(
            f"{service} has no previous version; next: `sluice restore {service} VERSION`"
        )
    return _move(control, route, ROLLBACK, previous, by)


def restore_champion(
    control: Control,
    registry: Registry,
    service: str,
    version: int,
    by: Author,
    force: bool = False,
) -> TimelineEntry:
    """Make an earlier version serve that passed its gates; the former one becomes `previous`.

    With `force`, a version that did not pass them serves too: the exception is recorded first, with
    its name and reason. While the registry is away, a version that the store knows to have served
    is restored too, since it was admitted then.

    Raises:
        CommandRefused: name or reason are missing.
        RolloutRefused: there is no such version, or a rollout is under way.
        PromotionRefused: the version did not pass every gate, and there is no exception for it.
        Fault: the store or the registry cannot be reached.
    """
    require_reason(RESTORE, by.by, by.reason)
    if done := _find_done(control, service, (RESTORE, FORCED), by):
        return done
    route, objection = _require_route(control, service), ""
    versions = open_versions(control, registry, service)
    try:
        found = versions.find(version)
    except RegistryUnavailable:
        if not control.timeline.has_served(service, version):
            raise
    else:
        if found is None:
            raise RolloutRefused(f"{service} has no v{version}")
        objection = _admit(control, versions, found, by, force)
    action = FORCED if objection else RESTORE
    return _move(control, route, action, version, by, objection)


def settle_aliases(control: Control, registry: Registry, service: str) -> TimelineEntry | None:
    """Make the aliases follow the last move by a person; return it, None if they have already.

    Raises:
        RolloutRefused: the registry has no such version any more.
        Fault: the store or the registry cannot be reached.
    """
    moved = control.moves.find_unsettled(service)
    if moved is None or moved.version is None:
        return None
    versions = open_versions(control, registry, service)
    if versions.find(moved.version) is None:
        raise RolloutRefused(say_missing(service, moved.version))
    before = versions.make_champion(moved.version, moved.previous or None)
    if before and moved.action == ROLLBACK:
        versions.drop_previous(before)
    control.moves.settle(moved)
    return moved


def _find_admitted(control: Control, registry: Registry, service: str) -> int:
    """Return the version to which a rollback goes back, which may serve; `NONE` if there is none.

    A version that the store knows to have served was admitted then; any other one is judged by its
    tags in the registry.

    Raises:
        RolloutRefused: the registry has no such version.
        PromotionRefused: the version did not pass every gate, and there is no exception for it.
        Fault: the store, or the registry where it is needed, cannot be reached.
    """
    previous = control.moves.find_previous(service)
    if previous == NONE:
        return NONE
    versions = open_versions(control, registry, service)
    if previous is None:
        found = versions.find_alias(PREVIOUS)
        if found is None:
            return NONE
    else:
        if control.timeline.has_served(service, previous):
            return previous
        found = versions.find(previous)
        if found is None:
            raise RolloutRefused(f"{service} has no v{previous}")
    if objection := versions.judge(found).objection:
        raise PromotionRefused(objection)
    return found.version


def _admit(
    control: Control, versions: ServiceVersions, found: VersionRecord, by: Author, force: bool
) -> str:
    """Check that a version may serve; with `force`, record an exception where it may not.

    Return what speaks against the version, empty if nothing does.

    Raises:
        PromotionRefused: it may not serve, and no exception was asked for.
        Fault: the control store cannot be reached.
    """
    objection = versions.judge(found).objection
    if objection and not force:
        raise PromotionRefused(objection)
    if objection:
        service, version = found.service, found.version
        control.admissions.make_exception(service, version, by.by, by.reason, datetime.now(UTC))
    return objection.partition("; next: ")[0]


def _find_done(
    control: Control, service: str, actions: tuple[str, ...], by: Author
) -> TimelineEntry | None:
    """Return the move that the same call has made already, if its reply was lost."""
    last = control.timeline.find_change(service)
    if last is None or not by.origin or last.action not in actions:
        return None
    who = (by.by.strip(), by.reason.strip(), by.origin)
    return last if (last.by, last.reason, last.origin) == who else None


def _require_route(control: Control, service: str) -> Route:
    route = control.routes.find(service)
    if route is None:
        raise RolloutRefused(f"{service} has no champion yet; next: `sluice release {service}`")
    return route


def _move(
    control: Control, seen: Route, action: str, version: int, by: Author, objection: str = ""
) -> TimelineEntry:
    although = f", by an exception: {objection}" if objection else ""
    previous = NONE if action == ROLLBACK else seen.champion
    if version == seen.champion:  # nothing to go back to changes
        previous = control.moves.find_previous(seen.service) or NONE
    entry = TimelineEntry(
        service=seen.service,
        at=datetime.now(UTC),
        action=action,
        version=version,
        by=by.by.strip(),
        reason=by.reason.strip(),
        origin=by.origin,
        message=f"v{version} is champion{although}",
        previous=previous,
    )
    return control.moves.make(entry, seen)
