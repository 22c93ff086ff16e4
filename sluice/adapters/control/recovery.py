"""Taking the word of a control store that was restored from an older copy."""

import json
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, and_

from sluice.adapters.control.commands import (
    OBEYED,
    insert_command,
    refuse_waiting,
    require_reason,
)
from sluice.adapters.control.database import Database, write_time
from sluice.adapters.control.rollouts import Rollouts
from sluice.adapters.control.routes import read_route, swap_route
from sluice.adapters.control.schema import ROLLOUTS
from sluice.control.command import BY_HAND, Author, RecordedCommand
from sluice.control.route import Route
from sluice.control.timeline import ACCEPT_STORE, NONE, TimelineEntry
from sluice.errors import CommandRefused
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Phase, write_state

RESTORED = "the control store was restored from an older copy"


class Recovery:
    """Makes a service's route count again for gateways that know a later epoch.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rollouts = Rollouts(database)

    def find_champion(self, service: str, known: int) -> int:
        """Return the version that serves by this store.

        `known` is the highest epoch that a gateway knows, and one more where a gateway knows
        another route of the same epoch. A rollout that the store holds as open began before the
        copy was made: its champion serves.

        Raises:
            CommandRefused: there is no route, or no gateway knows a later epoch.
        """
        rollout = self._rollouts.find_open(service)
        with self._database.transact("reading a route") as connection:
            route = _require_behind(connection, service, known)
        return rollout.champion if rollout else route.champion

    def accept(self, service: str, known: int, by: Author, now: datetime) -> Route:
        """Move the route above every known epoch; record by whom and why.

        The store's champion serves alone. A rollout that the store holds as open is ended.

        Raises:
            CommandRefused: see `find_champion`, or name or reason are missing.
        """
        require_reason(ACCEPT_STORE, by.by, by.reason)
        who = (by.by.strip(), by.reason.strip())
        rollout = self._rollouts.find_open(service)
        with self._database.transact("accepting the store") as connection:
            route = _require_behind(connection, service, known)
            champion = rollout.champion if rollout else route.champion
            wanted = route.follow(champion)
            entry = TimelineEntry(
                *(service, now, ACCEPT_STORE, champion, *who, by.origin),
                message=f"v{champion} serves instead of v{route.champion}",
                previous=NONE,  # the candidate of a rollout that is ended
            )
            moved = swap_route(connection, route, wanted, entry, above=known)
            message = f"v{champion} serves, at epoch {moved.epoch}"
            if rollout is not None:
                message += f"; rollout {rollout.number} is over"
                _end(connection, rollout, moved.epoch, now)
            done = (service, BY_HAND, ACCEPT_STORE, *who, now, OBEYED, message, by.origin)
            insert_command(connection, RecordedCommand(0, *done))
        return moved


def _require_behind(connection: Connection, service: str, known: int) -> Route:
    route = read_route(connection, service)
    if route is None:
        raise CommandRefused(
            f"{ACCEPT_STORE}: the control store has no route of {service}; next: `sluice restore "
            f"{service} VERSION` names the version that serves, then give this command again"
        )
    if route.epoch >= known:
        raise CommandRefused(
            f"{ACCEPT_STORE}: the route of {service} is at epoch {route.epoch}, and no gateway "
            "knows a later one: the store's word counts already"
        )
    return route


def _end(connection: Connection, rollout: RolloutRecord, epoch: int, now: datetime) -> None:
    """End a rollout of the older copy; the keeper then moves its aliases as after a roll-back."""
    had_alias = rollout.is_serving or rollout.is_beaten
    phase = Phase.ROLLED_BACK if had_alias else Phase.ABORTED
    state = replace(rollout.state, phase=phase, epoch=epoch, reason=RESTORED)
    same = and_(
        ROLLOUTS.c.service == rollout.service,
        ROLLOUTS.c.number == rollout.number,
        ROLLOUTS.c.ended == "",
    )
    values = {
        "phase": phase.value,
        "state": json.dumps(write_state(state), allow_nan=False),
        "ended": write_time(now),
    }
    connection.execute(ROLLOUTS.update().where(same).values(values))
    refuse_waiting(connection, rollout.service, rollout.number, f"{ACCEPT_STORE}: {RESTORED}")
