"""Routes in the control store; a route changes only from the epoch that its writer has read."""

import json
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, select

from sluice.adapters.control.causes import read_watermark
from sluice.adapters.control.database import Database, insert_once
from sluice.adapters.control.schema import ROLLOUTS, ROUTES
from sluice.adapters.control.timeline import append_change, read_change
from sluice.control.route import Mode, Route, RouteKind
from sluice.control.timeline import TimelineEntry
from sluice.documents import parse_json
from sluice.errors import PromotionRefused, RouteMoved

ALIASES = "aliases"
"""Subject of the watermark of the last move by a person that the registry's aliases follow."""


class Routes:
    """The store's routes; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, service: str) -> Route | None:
        """Return a service's current route; None if it never had a champion."""
        wanted = select(ROUTES).where(ROUTES.c.service == service)
        with self._database.transact("reading a route") as connection:
            row = connection.execute(wanted).mappings().first()
        return _build(row) if row else None

    def list_routes(self, kind: RouteKind | None = "model") -> list[Route]:
        """Return all routes of a kind, or of every kind, ordered by service."""
        wanted = select(ROUTES).order_by(ROUTES.c.service)
        wanted = wanted.where(ROUTES.c.kind == kind) if kind else wanted
        with self._database.transact("listing routes") as connection:
            return [_build(row) for row in connection.execute(wanted).mappings()]

    def swap(self, seen: Route | None, wanted: Route) -> Route:
        """Replace the route that was read, and return the new one with its new epoch.

        `seen` is None if there was none. A renewal in between is no obstacle; the counter starts
        again. The epoch and counter of `wanted` are ignored.

        Raises:
            RouteMoved: it is at another epoch than was read; nothing was changed.
            ValueError: the two are of different services.
        """
        if seen is not None and seen.service != wanted.service:
            raise ValueError(f"a route of {seen.service} cannot become one of {wanted.service}")
        with self._database.transact("changing a route") as connection:
            return swap_route(connection, seen, wanted)

    def renew(self, route: Route) -> Route:
        """Renew the route and return it.

        Raises:
            RouteMoved: it is at another epoch than the caller's.
        """
        with self._database.transact("renewing a route") as connection:
            return renew_route(connection, route.service, route.epoch)

    def follow_champion(self, service: str, version: int, kind: RouteKind = "model") -> Route:
        """Make the route name this champion; a missing route is created, of the kind given.

        While a rollout is under way nothing changes: the rollout decides, and the caller sees the
        other champion in the returned route. Nor while the aliases have to follow a person's move,
        since the caller's alias is then an older one. The same champion again changes nothing.

        Raises:
            PromotionRefused: the name is that of a route of the other kind.
        """
        with self._database.transact("following the champion") as connection:
            now = read_route(connection, service)
            if now is None:
                # Of two concurrent callers, the second finds the first one's row.
                _insert(connection, Route(service, version, epoch=1, kind=kind))
                now = _require(connection, service)
            if now.kind != kind:
                raise PromotionRefused(
                    f"{service}: found a {now.kind} of this name; allowed: a name of its own for "
                    f"each {kind}; next: rename one of them"
                )
            if now.candidate is not None or now.champion == version:
                return now
            if is_held(connection, service) or read_unsettled(connection, service):
                return now
            return swap_route(connection, now, now.follow(version))


def renew_route(connection: Connection, service: str, epoch: int) -> Route:
    """Renew a route inside a transaction.

    Raises:
        RouteMoved: it is at another epoch.
    """
    now = require_route(connection, service, epoch)
    renewed = replace(now, renewal=now.renewal + 1)
    _write(connection, now, renewed)
    return renewed


def require_route(connection: Connection, service: str, epoch: int) -> Route:
    """Return a route inside a transaction, locked until that ends.

    Raises:
        RouteMoved: it is at another epoch than the caller's, or there is none.
    """
    now = read_route(connection, service)
    if now is None or now.epoch != epoch:
        raise RouteMoved(_say_moved(service, epoch, now))
    return now


def swap_route(
    connection: Connection,
    seen: Route | None,
    wanted: Route,
    entry: TimelineEntry | None = None,
    above: int = 0,
) -> Route:
    """Replace a route inside a transaction; see `Routes.swap`.

    The new epoch is the next one, and higher than `above`. If another version serves then, the
    timeline gets the entry that explains it.

    Raises:
        RouteMoved: it is at another epoch than was read.
    """
    if seen is None:
        first = replace(wanted, epoch=1, renewal=0)
        if _insert(connection, first, entry):
            return first
        raise RouteMoved(_say_moved(wanted.service, None, read_route(connection, wanted.service)))
    moved = replace(wanted, epoch=max(seen.epoch, above) + 1, renewal=0)
    if _write(connection, seen, moved):
        append_change(connection, seen, moved, entry)
        return moved
    now = read_route(connection, wanted.service)
    raise RouteMoved(_say_moved(wanted.service, seen.epoch, now))


def _insert(connection: Connection, first: Route, entry: TimelineEntry | None = None) -> bool:
    """Insert the first route of a service; return whether there was none."""
    inserted = insert_once(connection, ROUTES, _columns(first))
    if inserted:
        append_change(connection, None, first, entry)
    return inserted


def _write(connection: Connection, seen: Route, wanted: Route) -> bool:
    """Change the row if it is still at the epoch that was read."""
    same = and_(ROUTES.c.service == seen.service, ROUTES.c.epoch == seen.epoch)
    return connection.execute(ROUTES.update().where(same).values(_columns(wanted))).rowcount == 1


def read_route(connection: Connection, service: str) -> Route | None:
    """Return a route inside a transaction, locked until that ends; None if there is none."""
    wanted = select(ROUTES).where(ROUTES.c.service == service).with_for_update()
    row = connection.execute(wanted).mappings().first()
    return _build(row) if row else None


def read_routes(connection: Connection) -> list[Route]:
    """Return, inside a transaction, the routes of all services, of models and of prompts."""
    return [_build(row) for row in connection.execute(select(ROUTES)).mappings()]


def _require(connection: Connection, service: str) -> Route:
    found = read_route(connection, service)
    if found is None:
        raise RouteMoved(f"the route of {service} disappeared while it was read")
    return found


def _columns(route: Route) -> dict[str, Any]:
    weights = json.dumps(route.stage_weights)
    return {**asdict(route), "stage_weights": weights, "mode": route.mode.value}


def _build(row: RowMapping) -> Route:
    weights = tuple(float(item) for item in parse_json(row["stage_weights"]))
    return Route(**{**row, "stage_weights": weights, "mode": Mode(row["mode"])})


def read_unsettled(connection: Connection, service: str) -> TimelineEntry | None:
    """Return, inside a transaction, the move by a person that the aliases have not followed yet."""
    moved = read_watermark(connection, service, ALIASES)
    change = read_change(connection, service) if moved.announced is not None else None
    if change is None or str(change.sequence) != moved.mark:  # a later move replaced it
        return None
    return change


def is_held(connection: Connection, service: str) -> bool:
    """Whether, inside a transaction, a rollout of the service is under way."""
    held = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.ended == "")
    return connection.execute(select(ROLLOUTS.c.number).where(held)).first() is not None


def say_experiment(route: Route) -> str:
    """Return that an experiment runs on a route, with what to do about it."""
    name = route.experiment.rpartition("-")[0]
    return (
        f"{route.service}: found the experiment {route.experiment} running (v{route.champion} and "
        f"v{route.candidate}); allowed: an experiment or a rollout, one at a time; next: `sluice "
        f"experiment decide {name} discard --by NAME --reason WORDS` ends it"
    )


def _say_moved(service: str, seen: int | None, now: Route | None) -> str:
    before = "there was no route" if seen is None else f"it was at epoch {seen}"
    found = f"it is at epoch {now.epoch}" if now else "there is none"
    return f"the route of {service} was changed: {before}, now {found}; next: read it again"
