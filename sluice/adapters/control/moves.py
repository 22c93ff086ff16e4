"""Moves of the champion by a person: the route, its record and what must follow, at once.

The route says who serves. The registry's aliases and Prefect's event follow it, and may be late:
what has not followed yet is on record, and any later run completes it.
"""

from sqlalchemy import and_, select

from sluice.adapters.control.causes import NEVER, is_of, put_watermark, read_watermark
from sluice.adapters.control.commands import OBEYED, insert_command
from sluice.adapters.control.database import Database
from sluice.adapters.control.routes import (
    ALIASES,
    is_held,
    read_route,
    read_unsettled,
    say_experiment,
    swap_route,
)
from sluice.adapters.control.schema import TIMELINE, WATERMARKS
from sluice.adapters.control.timeline import append_entry, build_entry, read_change
from sluice.control.command import BY_HAND, RecordedCommand
from sluice.control.route import Route
from sluice.control.timeline import BY_PERSONS, TimelineEntry
from sluice.control.watermark import Watermark
from sluice.errors import RolloutRefused, RouteMoved

TOLD = "told"
"""Subject of the watermark of the last move of which Prefect was told."""


class Moves:
    """The store's moves of champions; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_previous(self, service: str) -> int | None:
        """Return the version to which a rollback goes back; `NONE` if there is none.

        None if the store has no record of it, as in one that an earlier version of Sluice wrote.
        """
        with self._database.transact("looking for the previous version") as connection:
            route, change = read_route(connection, service), read_change(connection, service)
        if route is None or change is None or change.version != route.champion:
            return None
        return change.previous

    def make(self, entry: TimelineEntry, seen: Route) -> TimelineEntry:
        """Make a version serve, and record the move and that the aliases have to follow.

        `seen` is the route as the caller read it. The version that serves already is no move of
        the route; it is recorded all the same.

        Raises:
            RolloutRefused: a rollout is under way, or an experiment.
            RouteMoved: another version serves than the caller read; nothing was changed.
            ValueError: the entry names no version, or no previous one.
        """
        if entry.version is None or entry.previous is None:
            raise ValueError(f"a move of {entry.service} needs a version and a previous one")
        with self._database.transact("moving the champion") as connection:
            now = read_route(connection, entry.service)
            if is_held(connection, entry.service):
                raise RolloutRefused(f"{entry.service}: a rollout is under way")
            if now is not None and now.experiment:
                raise RolloutRefused(say_experiment(now))
            if now is None or now.champion != seen.champion:
                serves = f"v{now.champion}" if now else "nothing"
                raise RouteMoved(
                    f"the route of {entry.service} was changed: v{seen.champion} served, now "
                    f"{serves}; next: look at it with `sluice status`, and try again"
                )
            if now.champion == entry.version:
                moved = append_entry(connection, entry)
            else:
                swap_route(connection, now, now.follow(entry.version), entry)
                moved = read_change(connection, entry.service) or entry
            insert_command(connection, _record(entry))
            due = Watermark(entry.service, ALIASES, str(moved.sequence), entry.at)
            put_watermark(connection, due)
            return moved

    def find_unsettled(self, service: str) -> TimelineEntry | None:
        """Return the move that the registry's aliases have not followed yet; None if they have."""
        with self._database.transact("looking for a move of the champion") as connection:
            return read_unsettled(connection, service)

    def settle(self, moved: TimelineEntry) -> None:
        """Record that the registry's aliases have followed a move."""
        same = and_(is_of(moved.service, ALIASES), WATERMARKS.c.mark == str(moved.sequence))
        with self._database.transact("settling a move of the champion") as connection:
            connection.execute(WATERMARKS.update().where(same).values(announced=NEVER))

    def list_untold(self, service: str) -> list[TimelineEntry]:
        """Return the rollbacks and restores of which Prefect was not told yet, oldest first."""
        with self._database.transact("looking for moves of the champion") as connection:
            after = TIMELINE.c.sequence > int(read_watermark(connection, service, TOLD).mark or 0)
            moves = TIMELINE.c.action.in_(BY_PERSONS)
            wanted = select(TIMELINE).where(and_(TIMELINE.c.service == service, moves, after))
            rows = connection.execute(wanted.order_by(TIMELINE.c.sequence)).mappings()
            return [build_entry(row) for row in rows]

    def mark_told(self, moved: TimelineEntry) -> None:
        """Record that Prefect was told of a move, and of those before it."""
        with self._database.transact("noting what was told") as connection:
            seen = read_watermark(connection, moved.service, TOLD)
            if int(seen.mark or 0) < moved.sequence:
                put_watermark(connection, seen.settle(str(moved.sequence)))


def _record(entry: TimelineEntry) -> RecordedCommand:
    return RecordedCommand(
        sequence=0,
        service=entry.service,
        number=BY_HAND,
        action=entry.action,
        by=entry.by,
        reason=entry.reason,
        at=entry.at,
        answer=OBEYED,
        message=entry.message,
        origin=entry.origin,
    )
