"""Rollouts in the control store: each tick is one transaction, fenced by the controller's lease."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from sluice.adapters.control.commands import answer_command, refuse_waiting
from sluice.adapters.control.database import Database, write_time
from sluice.adapters.control.leases import renew_lease, require_lease
from sluice.adapters.control.routes import (
    read_route,
    renew_route,
    require_route,
    say_experiment,
    swap_route,
)
from sluice.adapters.control.schema import ROLLOUT_LOG, ROLLOUTS
from sluice.config.policy import Policy, hash_policy, read_policy, write_policy
from sluice.config.rollout import RouteConfig
from sluice.control.command import RecordedCommand
from sluice.control.lease import Lease
from sluice.control.timeline import NONE, ROUTE, TimelineEntry
from sluice.documents import parse_json
from sluice.errors import LeaseLost, RolloutRefused
from sluice.production.served import RolloutTrial
from sluice.rollout.facts import Arm
from sluice.rollout.log import LogRecord, read_record, write_opening
from sluice.rollout.record import RolloutRecord, RolloutSummary, read_readings, write_readings
from sluice.rollout.state import Decision, Phase, Verb, read_state, start, write_state

CONTROLLER = "rollout"
"""The purpose of the lease of a rollout's controller."""


@dataclass(frozen=True)
class Opening:
    """What a rollout starts with; `before` is the champion's traffic, one arm per block."""

    service: str
    champion: int
    candidate: int
    policy: Policy
    terms: RouteConfig
    salt: str
    before: tuple[Arm, ...] = ()
    cost_cap: float = 0.0
    """US dollars that one request counts as at most; 0: costs do not count."""


@dataclass(frozen=True)
class Tick:
    """One step to write: the rollout after it, its log record, and the answered command."""

    rollout: RolloutRecord
    record: LogRecord
    decision: Decision
    command: RecordedCommand | None = None


class Rollouts:
    """The store's rollouts; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, lease: Lease, opening: Opening, now: datetime) -> RolloutRecord:
        """Open a rollout under its controller's lease, and write the first record of its log.

        Raises:
            LeaseLost: another holds the lease, or it was freed.
            RolloutRefused: one is open, or the route names other versions.
        """
        with self._database.transact("opening a rollout") as connection:
            require_lease(connection, lease)
            epoch = _require_room(connection, opening)
            of_service = ROLLOUTS.c.service == opening.service
            last = connection.execute(select(func.max(ROLLOUTS.c.number)).where(of_service))
            rollout = RolloutRecord(
                service=opening.service,
                number=(last.scalar() or 0) + 1,
                champion=opening.champion,
                candidate=opening.candidate,
                policy=opening.policy,
                terms=opening.terms,
                salt=opening.salt,
                state=start(opening.policy, list(opening.before), epoch),
                cost_cap=opening.cost_cap,
            )
            whole = {**_name(rollout), **_write(rollout), "opened": write_time(now), "ended": ""}
            connection.execute(ROLLOUTS.insert().values(whole))
            first = write_opening(opening.policy, list(opening.before), epoch)
            _append(connection, rollout, first, now)
            return rollout

    def write(
        self, lease: Lease, before: RolloutRecord, tick: Tick, now: datetime
    ) -> RolloutRecord:
        """Write a tick: state, record, answered command and route, all or nothing.

        The route is swapped if the state's epoch changed, else renewed unless the state says no.

        Raises:
            LeaseLost: another holds the lease, or wrote this tick.
            RouteMoved: the route is at another epoch than the rollout.
            CommandRefused: the command was answered already.
        """
        after = replace(tick.rollout, tick=before.tick + 1)
        with self._database.transact("writing a tick") as connection:
            require_lease(connection, lease)
            same = and_(_is(before), ROLLOUTS.c.tick == before.tick, ROLLOUTS.c.ended == "")
            over = after.state.phase.is_final
            values = {**_write(after), "ended": write_time(now) if over else ""}
            if connection.execute(ROLLOUTS.update().where(same).values(values)).rowcount != 1:
                name = f"rollout {before.number} of {before.service}"
                raise LeaseLost(f"{name}: tick {before.tick} was written by another controller")
            _append(connection, before, tick.record, now)
            if tick.command:
                obeyed = tick.decision.verb is not Verb.REFUSE
                answer_command(connection, tick.command, obeyed, tick.decision.reason)
            if over:
                message = f"the rollout is over: {after.state.phase}"
                refuse_waiting(connection, before.service, before.number, message)
            _move_route(connection, before, after, now)
        return after

    def renew(self, lease: Lease, rollout: RolloutRecord, routed: bool) -> Lease:
        """Renew the controller's lease, and with it (`routed`) the route at the rollout's epoch.

        Raises:
            LeaseLost: another holds the lease, or it was freed.
        """
        with self._database.transact("renewing a rollout") as connection:
            renewed = renew_lease(connection, lease)
            route = read_route(connection, rollout.service) if routed else None
            if route and route.epoch == rollout.state.epoch:  # otherwise a tick is changing it
                renew_route(connection, rollout.service, route.epoch)
            return renewed

    def settle(self, rollout: RolloutRecord) -> None:
        """Record that the registry's aliases match a rollout's end."""
        with self._database.transact("settling a rollout") as connection:
            connection.execute(ROLLOUTS.update().where(_is(rollout)).values(settled=1))

    def find_open(self, service: str) -> RolloutRecord | None:
        """Return the service's rollout that is under way; None if there is none."""
        wanted = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.ended == "")
        return next(iter(self._list(wanted)), None)

    def find(self, service: str, number: int) -> RolloutRecord | None:
        """Return a rollout in its present state; None if there is no such rollout."""
        same = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.number == number)
        return next(iter(self._list(same)), None)

    def list_open(self) -> list[RolloutRecord]:
        """Return all rollouts that are under way."""
        return self._list(ROLLOUTS.c.ended == "")

    def list_unsettled(self) -> list[RolloutRecord]:
        """Return the rollouts that ended and whose aliases may not match yet."""
        return self._list(and_(ROLLOUTS.c.ended != "", ROLLOUTS.c.settled == 0))

    def list_rollouts(self, service: str) -> list[RolloutRecord]:
        """Return all rollouts of a service, oldest first."""
        return self._list(ROLLOUTS.c.service == service)

    def list_trials(self, service: str) -> list[RolloutTrial]:
        """Return every rollout of a service as one trial with its largest share, oldest first."""
        names = ("service", "number", "champion", "candidate", "policy", "state", "opened", "ended")
        rows = select(*(ROLLOUTS.c[name] for name in names))
        rows = rows.where(ROLLOUTS.c.service == service).order_by(ROLLOUTS.c.number)
        with self._database.transact("listing trials") as connection:
            return [_build_trial(row) for row in connection.execute(rows).mappings()]

    def list_summaries(self) -> list[RolloutSummary]:
        """Return a summary of every service's rollouts, by service and number."""
        last = and_(_matches_log(), ROLLOUT_LOG.c.tick == ROLLOUTS.c.tick - 1)
        names = ("service", "number", "champion", "candidate", "phase", "tick", "opened", "ended")
        columns = [ROLLOUTS.c[name] for name in names]
        rows = select(*columns, ROLLOUT_LOG.c.at).join(ROLLOUT_LOG, last)
        rows = rows.order_by(ROLLOUTS.c.service, ROLLOUTS.c.number)
        with self._database.transact("listing rollouts") as connection:
            return [_build_summary(row) for row in connection.execute(rows).mappings()]

    def read_log(
        self, service: str, number: int, since: int = 0, most: int | None = None
    ) -> list[tuple[datetime, LogRecord]]:
        """Return a rollout's decision log: the time and the record of each tick.

        It starts at tick `since` and has at most `most` records, if given. Records that earlier
        versions wrote get today's names (`read_record`).
        """
        wanted = and_(ROLLOUT_LOG.c.service == service, ROLLOUT_LOG.c.number == number)
        wanted = and_(wanted, ROLLOUT_LOG.c.tick >= since)
        rows = select(ROLLOUT_LOG).where(wanted).order_by(ROLLOUT_LOG.c.tick).limit(most)
        with self._database.transact("reading a decision log") as connection:
            found = connection.execute(rows).mappings().all()
        return [
            (datetime.fromisoformat(row["at"]), read_record(parse_json(row["record"])))
            for row in found
        ]

    def _list(self, wanted: ColumnElement[bool]) -> list[RolloutRecord]:
        rows = select(ROLLOUTS).where(wanted).order_by(ROLLOUTS.c.service, ROLLOUTS.c.number)
        with self._database.transact("reading rollouts") as connection:
            return [_build(row) for row in connection.execute(rows).mappings()]


def _require_room(connection: Connection, opening: Opening) -> int:
    """Return the route's epoch, if the route is free for this rollout.

    Raises:
        RolloutRefused: one is open, or the route names other versions.
    """
    route, service = read_route(connection, opening.service), opening.service
    open_one = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.ended == "")
    other = connection.execute(select(ROLLOUTS.c.candidate).where(open_one)).scalar()
    if other is not None:
        raise RolloutRefused(f"{service}: a rollout of v{other} is under way; one at a time")
    if route is None:
        raise RolloutRefused(f"{service} has no route: no champion was ever released")
    if route.experiment:
        raise RolloutRefused(say_experiment(route))
    if (route.champion, route.candidate) != (opening.champion, None):
        found = f"v{route.champion}{f' and v{route.candidate}' if route.candidate else ''}"
        raise RolloutRefused(
            f"{service}: the route names {found}, not v{opening.champion} alone; "
            "next: wait until the keeper has adopted the alias that was moved by hand"
        )
    return route.epoch


def _move_route(
    connection: Connection, before: RolloutRecord, after: RolloutRecord, now: datetime
) -> None:
    service, epoch = before.service, before.state.epoch
    if after.state.epoch != epoch:
        route = require_route(connection, service, epoch)
        moved = after.direct(route)
        entry = TimelineEntry(
            service=service,
            at=now,
            action=ROUTE,
            version=moved.champion,
            reason=after.state.reason,
            origin=f"rollout {after.number}",
            message=f"v{moved.champion} serves instead of v{route.champion}",
            previous=route.champion if after.is_serving else NONE,  # a beaten candidate is none
        )
        swap_route(connection, route, moved, entry)
    elif after.state.renews:
        renew_route(connection, service, epoch)


def _append(
    connection: Connection, rollout: RolloutRecord, record: LogRecord, now: datetime
) -> None:
    text = json.dumps(record, allow_nan=False)
    line = {**_name(rollout), "tick": record["tick"], "at": write_time(now), "record": text}
    connection.execute(ROLLOUT_LOG.insert().values(line))


def _name(rollout: RolloutRecord) -> dict[str, Any]:
    return {"service": rollout.service, "number": rollout.number}


def _write(rollout: RolloutRecord) -> Mapping[str, Any]:
    return {
        "champion": rollout.champion,
        "candidate": rollout.candidate,
        "policy": write_policy(rollout.policy),
        "policy_hash": hash_policy(rollout.policy),
        "terms": rollout.terms.model_dump_json(),
        "salt": rollout.salt,
        "phase": rollout.state.phase.value,
        "state": json.dumps(write_state(rollout.state), allow_nan=False),
        "readings": json.dumps(write_readings(rollout.readings), allow_nan=False),
        "tick": rollout.tick,
        "settled": int(rollout.settled),
        "cost_cap": rollout.cost_cap,
    }


def _build(row: RowMapping) -> RolloutRecord:
    policy = read_policy(row["policy"])
    return RolloutRecord(
        service=row["service"],
        number=row["number"],
        champion=row["champion"],
        candidate=row["candidate"],
        policy=policy,
        terms=RouteConfig.model_validate_json(row["terms"]),
        salt=row["salt"],
        state=read_state(parse_json(row["state"]), policy),
        tick=row["tick"],
        readings=read_readings(parse_json(row["readings"])),
        settled=bool(row["settled"]),
        cost_cap=row["cost_cap"],
    )


def _build_trial(row: RowMapping) -> RolloutTrial:
    policy = read_policy(row["policy"])
    state = read_state(parse_json(row["state"]), policy)
    reached = max(item.weight for item in policy.stages[: state.stage + 1])
    return RolloutTrial(
        service=row["service"],
        number=row["number"],
        champion=row["champion"],
        candidate=row["candidate"],
        opened=datetime.fromisoformat(row["opened"]),
        ended=datetime.fromisoformat(row["ended"]) if row["ended"] else None,
        weight=max(reached, state.weight(policy)),
        phase=state.phase,
        reason=state.reason,
    )


def _build_summary(row: RowMapping) -> RolloutSummary:
    return RolloutSummary(
        service=row["service"],
        number=row["number"],
        champion=row["champion"],
        candidate=row["candidate"],
        phase=Phase(row["phase"]),
        tick=row["tick"],
        opened=datetime.fromisoformat(row["opened"]),
        ended=datetime.fromisoformat(row["ended"]) if row["ended"] else None,
        written=datetime.fromisoformat(row["at"]),
    )


def _matches_log() -> ColumnElement[bool]:
    same = ROLLOUT_LOG.c.service == ROLLOUTS.c.service
    return and_(same, ROLLOUT_LOG.c.number == ROLLOUTS.c.number)


def _is(rollout: RolloutRecord) -> ColumnElement[bool]:
    return and_(ROLLOUTS.c.service == rollout.service, ROLLOUTS.c.number == rollout.number)
