"""Routes in the control store, changed only from the epoch that their writer saw."""

import json
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, select

from sluice.adapters.control.database import Database, insert_once
from sluice.adapters.control.schema import ROLLOUTS, ROUTES
from sluice.control.route import Mode, Route
from sluice.errors import RouteMoved


class Routes:
    """The store's routes; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, service: str) -> Route | None:
        """Give a service's route as it stands; None where no champion was ever named."""
        wanted = select(ROUTES).where(ROUTES.c.service == service)
        with self._database.transact("reading a route") as connection:
            row = connection.execute(wanted).mappings().first()
        return _build(row) if row else None

    def list_routes(self) -> list[Route]:
        """Give all routes by service."""
        wanted = select(ROUTES).order_by(ROUTES.c.service)
        with self._database.transact("listing routes") as connection:
            return [_build(row) for row in connection.execute(wanted).mappings()]

    def swap(self, seen: Route | None, wanted: Route) -> Route:
        """Put a route in the place of the one that was seen, and give it with its new epoch.

        `seen` is None where there was none. A renewal in between does not hinder it; the
        counter begins anew. An epoch or counter in `wanted` is not looked at.

        Raises:
            RouteMoved: it is at another epoch than was seen; nothing was changed.
            ValueError: the two are of different services.
        """
        if seen is not None and seen.service != wanted.service:
            raise ValueError(f"a route of {seen.service} cannot become one of {wanted.service}")
        with self._database.transact("changing a route") as connection:
            return swap_route(connection, seen, wanted)

    def renew(self, route: Route) -> Route:
        """Move the counter on and give the route as it is then.

        Raises:
            RouteMoved: it is at another epoch than the caller's.
        """
        with self._database.transact("renewing a route") as connection:
            return renew_route(connection, route.service, route.epoch)

    def follow_champion(self, service: str, version: int) -> Route:
        """Let the route name this champion; it is made where there is none.

        While a rollout is under way nothing is changed: it decides, and the caller sees in what it
        is given that the champion is another. The same champion again changes nothing.
        """
        with self._database.transact("following the champion") as connection:
            now = read_route(connection, service)
            if now is None:
                # Two that come at once: the second finds the first one's row.
                insert_once(connection, ROUTES, _columns(Route(service, version, epoch=1)))
                now = _require(connection, service)
            if (
                now.candidate is not None
                or now.champion == version
                or _is_held(connection, service)
            ):
                return now
            return swap_route(connection, now, now.follow(version))


def renew_route(connection: Connection, service: str, epoch: int) -> Route:
    """Move a route's counter on inside a transaction.

    Raises:
        RouteMoved: it is at another epoch.
    """
    now = require_route(connection, service, epoch)
    renewed = replace(now, renewal=now.renewal + 1)
    _write(connection, now, renewed)
    return renewed


def require_route(connection: Connection, service: str, epoch: int) -> Route:
    """Give a route inside a transaction, kept as it is until that ends.

    Raises:
        RouteMoved: it is at another epoch than the caller's, or there is none.
    """
    now = read_route(connection, service)
    if now is None or now.epoch != epoch:
        raise RouteMoved(_say_moved(service, epoch, now))
    return now


def swap_route(connection: Connection, seen: Route | None, wanted: Route) -> Route:
    """Put a route in another's place inside a transaction; see `Routes.swap`.

    Raises:
        RouteMoved: it is at another epoch than was seen.
    """
    if seen is None:
        first = replace(wanted, epoch=1, renewal=0)
        if insert_once(connection, ROUTES, _columns(first)):
            return first
        raise RouteMoved(_say_moved(wanted.service, None, read_route(connection, wanted.service)))
    moved = replace(wanted, epoch=seen.epoch + 1, renewal=0)
    if _write(connection, seen, moved):
        return moved
    now = read_route(connection, wanted.service)
    raise RouteMoved(_say_moved(wanted.service, seen.epoch, now))


def _write(connection: Connection, seen: Route, wanted: Route) -> bool:
    """Change the row if it is still at the epoch that was seen."""
    same = and_(ROUTES.c.service == seen.service, ROUTES.c.epoch == seen.epoch)
    return connection.execute(ROUTES.update().where(same).values(_columns(wanted))).rowcount == 1


def read_route(connection: Connection, service: str) -> Route | None:
    """Give a route inside a transaction, kept as it is until that ends."""
    wanted = select(ROUTES).where(ROUTES.c.service == service).with_for_update()
    row = connection.execute(wanted).mappings().first()
    return _build(row) if row else None


def _require(connection: Connection, service: str) -> Route:
    found = read_route(connection, service)
    if found is None:
        raise RouteMoved(f"the route of {service} went away while it was read")
    return found


def _columns(route: Route) -> dict[str, Any]:
    weights = json.dumps(route.stage_weights)
    return {**asdict(route), "stage_weights": weights, "mode": route.mode.value}


def _build(row: RowMapping) -> Route:
    weights = tuple(float(item) for item in json.loads(row["stage_weights"]))
    return Route(**{**row, "stage_weights": weights, "mode": Mode(row["mode"])})


def _is_held(connection: Connection, service: str) -> bool:
    """Whether a rollout of the service is under way."""
    held = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.ended == "")
    return connection.execute(select(ROLLOUTS.c.number).where(held)).first() is not None


def _say_moved(service: str, seen: int | None, now: Route | None) -> str:
    saw = "no route was seen" if seen is None else f"epoch {seen} was seen"
    found = f"it is at epoch {now.epoch}" if now else "there is none"
    return f"the route of {service} is another's: {saw}, {found}; next: read it again"
