"""Experiments in the control store; a record changes only from the revision that was read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from sluice.adapters.control.database import Database, write_time
from sluice.adapters.control.leases import renew_lease, require_lease
from sluice.adapters.control.routes import read_route, renew_route, swap_route
from sluice.adapters.control.schema import EXPERIMENT_LOG, EXPERIMENTS, ROLLOUTS
from sluice.config.experiments.experiment import ExperimentConfig
from sluice.config.experiments.loading import read_experiment, write_experiment
from sluice.control.lease import Lease
from sluice.documents import parse_json
from sluice.errors import ExperimentRefused
from sluice.experiments.analysis import ExperimentAnalysis
from sluice.experiments.plan import ExperimentPlan
from sluice.experiments.record import (
    ExperimentDecision,
    ExperimentPhase,
    ExperimentRecord,
    dump_facts,
    load_facts,
)

RUNNING = ExperimentPhase.RUNNING.value
TIMES = ("planned", "started", "ended")


@dataclass(frozen=True)
class ExperimentLogEntry:
    """One entry of an experiment's log: what became of it, when, by whom and why."""

    name: str
    number: int
    at: datetime
    phase: ExperimentPhase
    by: str = ""
    reason: str = ""
    facts: Mapping[str, Any] | None = None


class Experiments:
    """The store's experiments; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str, number: int = 0) -> ExperimentRecord | None:
        """Return a run of an experiment, 0: the newest; None if there is none."""
        with self._database.transact("reading an experiment") as connection:
            return _read(connection, name, number)

    def find_running(self, service: str) -> ExperimentRecord | None:
        """Return the experiment that runs on a service; None if none does."""
        wanted = and_(EXPERIMENTS.c.service == service, EXPERIMENTS.c.phase == RUNNING)
        return next(iter(self._list(wanted)), None)

    def find_newest(self, service: str) -> ExperimentRecord | None:
        """Return the experiment of a service that was planned last; None if there is none."""
        wanted = select(EXPERIMENTS).where(EXPERIMENTS.c.service == service)
        newest = wanted.order_by(EXPERIMENTS.c.planned.desc()).limit(1)
        with self._database.transact("reading the newest experiment") as connection:
            row = connection.execute(newest).mappings().first()
        return _build(row) if row else None

    def list_running(self) -> list[ExperimentRecord]:
        """Return all experiments that run."""
        return self._list(EXPERIMENTS.c.phase == RUNNING)

    def list_experiments(self, service: str = "") -> list[ExperimentRecord]:
        """Return all runs of all experiments, of one service or of every one, newest last."""
        return self._list(EXPERIMENTS.c.service == service if service else None)

    def read_log(self, name: str, number: int) -> list[ExperimentLogEntry]:
        """Return a run's log, oldest first."""
        same = and_(EXPERIMENT_LOG.c.name == name, EXPERIMENT_LOG.c.number == number)
        wanted = select(EXPERIMENT_LOG).where(same).order_by(EXPERIMENT_LOG.c.sequence)
        with self._database.transact("reading an experiment's log") as connection:
            return [_build_entry(row) for row in connection.execute(wanted).mappings()]

    def plan(
        self, config: ExperimentConfig, plan: ExperimentPlan, now: datetime, by: str = ""
    ) -> ExperimentRecord:
        """Record a plan; it replaces one that was not started.

        Raises:
            ExperimentRefused: the last run has no decision yet.
        """
        name = config.experiment
        with self._database.transact("planning an experiment") as connection:
            last = _read(connection, name, 0)
            if last and last.phase not in (ExperimentPhase.PLANNED, ExperimentPhase.DECIDED):
                raise ExperimentRefused(
                    f"{name}: run {last.number} is {last.phase}; allowed: a plan after its "
                    f"decision; next: `sluice experiment decide {name} discard --by NAME --reason "
                    "WORDS`, or another name"
                )
            again = last is not None and last.phase is ExperimentPhase.PLANNED
            number = (last.number if last else 0) + (0 if again else 1)
            record = ExperimentRecord(
                name=name,
                number=number,
                service=config.service,
                phase=ExperimentPhase.PLANNED,
                config=config,
                plan=plan,
                planned=now,
                revision=last.revision + 1 if last and again else 1,
            )
            if last and again:
                same = and_(_is(last), EXPERIMENTS.c.revision == last.revision)
                connection.execute(EXPERIMENTS.update().where(same).values(_write(record)))
            else:
                connection.execute(EXPERIMENTS.insert().values(_write(record)))
            facts = {"units": plan.units, "seconds": plan.seconds, "source": plan.source}
            _append(connection, record, now, (by, ""), facts)
            return record

    def start(
        self, lease: Lease, record: ExperimentRecord, ttl: float, now: datetime, by: str = ""
    ) -> ExperimentRecord:
        """Start a planned experiment under its controller's lease: its route, record and log.

        Raises:
            LeaseLost: another holds the lease.
            ExperimentRefused: a rollout or an experiment of the service is under way, the route
                names other versions, or the record changed.
        """
        with self._database.transact("starting an experiment") as connection:
            require_lease(connection, lease)
            route = read_route(connection, record.service)
            _require_free(connection, record)
            if route is None or (route.champion, route.candidate) != (record.control, None):
                serves = f"v{route.champion}" if route else "nothing"
                raise ExperimentRefused(
                    f"{record.service}: found {serves} on the route; allowed: "
                    f"v{record.control} alone; next: wait until the keeper has settled who serves, "
                    "and try again"
                )
            moved = swap_route(connection, route, record.direct(route, ttl))
            started = replace(record, phase=ExperimentPhase.RUNNING, started=now, epoch=moved.epoch)
            facts = {"control": record.control, "treatment": record.treatment, "epoch": moved.epoch}
            return _change(connection, record, started, now, (by, ""), facts)

    def renew(self, lease: Lease, record: ExperimentRecord) -> Lease:
        """Renew the controller's lease, and with it the route at the experiment's epoch.

        Raises:
            LeaseLost: another holds the lease, or it was freed.
            RouteMoved: another process changed the route.
        """
        with self._database.transact("renewing an experiment") as connection:
            renewed = renew_lease(connection, lease)
            renew_route(connection, record.service, record.epoch)
            return renewed

    def end(
        self, record: ExperimentRecord, reason: str, now: datetime, by: str = ""
    ) -> ExperimentRecord:
        """End the traffic of a running experiment: the control serves alone again.

        `reason` is empty where its calculated duration is over. One that ended already is returned
        as it is.
        """
        with self._database.transact("ending an experiment") as connection:
            return _end(connection, record, reason, now, by)

    def analyse(
        self, record: ExperimentRecord, analysis: ExperimentAnalysis, now: datetime, by: str = ""
    ) -> ExperimentRecord:
        """Record an analysis; a sequential look leaves a running experiment as it is.

        Raises:
            ExperimentRefused: the record changed since it was read.
        """
        running = record.phase is ExperimentPhase.RUNNING
        phase = record.phase if running else ExperimentPhase.ANALYSED
        after = replace(record, phase=phase, analysis=analysis)
        facts = {"recommended": analysis.recommended, "units": analysis.units_a + analysis.units_b}
        with self._database.transact("recording an analysis") as connection:
            return _change(connection, record, after, now, (by, analysis.reason), facts)

    def decide(
        self, record: ExperimentRecord, decision: ExperimentDecision, now: datetime
    ) -> ExperimentRecord:
        """Record a decision; the traffic of a running experiment ends with it.

        Raises:
            ExperimentRefused: the record changed since it was read.
        """
        with self._database.transact("deciding an experiment") as connection:
            before = record
            if record.phase is ExperimentPhase.RUNNING:
                reason = f"decided: {decision.choice}"
                before = _end(connection, record, reason, now, decision.by)
            after = replace(before, phase=ExperimentPhase.DECIDED, decision=decision)
            who = (decision.by, decision.reason)
            return _change(connection, before, after, now, who, {"choice": decision.choice})

    def _list(self, wanted: ColumnElement[bool] | None) -> list[ExperimentRecord]:
        rows = select(EXPERIMENTS).order_by(EXPERIMENTS.c.name, EXPERIMENTS.c.number)
        rows = rows if wanted is None else rows.where(wanted)
        with self._database.transact("listing experiments") as connection:
            return [_build(row) for row in connection.execute(rows).mappings()]


def find_running_key(connection: Connection, service: str) -> str:
    """Return, inside a transaction, the experiment that runs on a service; empty if none does."""
    wanted = and_(EXPERIMENTS.c.service == service, EXPERIMENTS.c.phase == RUNNING)
    row = connection.execute(select(EXPERIMENTS.c.name, EXPERIMENTS.c.number).where(wanted)).first()
    return f"{row[0]}-{row[1]}" if row else ""


def _require_free(connection: Connection, record: ExperimentRecord) -> None:
    """Refuse a service on which something else is under way.

    Raises:
        ExperimentRefused: a rollout is open, or another experiment runs.
    """
    service = record.service
    held = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.ended == "")
    candidate = connection.execute(select(ROLLOUTS.c.candidate).where(held)).scalar()
    if candidate is not None:
        raise ExperimentRefused(
            f"{service}: found a rollout of v{candidate} under way; allowed: an experiment or a "
            f"rollout, one at a time; next: wait for its end, or `sluice rollout-control {service} "
            "abort --by NAME --reason WORDS`"
        )
    other = find_running_key(connection, service)
    if other:
        name = other.rpartition("-")[0]
        raise ExperimentRefused(
            f"{service}: found the experiment {other} running; allowed: one at a time; next: "
            f"`sluice experiment status {name}`"
        )


def _end(
    connection: Connection, record: ExperimentRecord, reason: str, now: datetime, by: str
) -> ExperimentRecord:
    found = _read(connection, record.name, record.number)
    if found is None or found.phase is not ExperimentPhase.RUNNING:
        return found or record
    route = read_route(connection, record.service)
    if route is not None and route.experiment == record.key:
        swap_route(connection, route, route.follow(route.champion))
    ended = replace(found, phase=ExperimentPhase.ENDED, ended=now, end_reason=reason)
    return _change(connection, found, ended, now, (by, reason), {})


def _change(
    connection: Connection,
    before: ExperimentRecord,
    after: ExperimentRecord,
    now: datetime,
    who: tuple[str, str],
    facts: Mapping[str, Any],
) -> ExperimentRecord:
    """Write a record from the revision that was read, and its entry of the log.

    Raises:
        ExperimentRefused: another process changed it.
    """
    after = replace(after, revision=before.revision + 1)
    same = and_(_is(before), EXPERIMENTS.c.revision == before.revision)
    if connection.execute(EXPERIMENTS.update().where(same).values(_write(after))).rowcount != 1:
        raise ExperimentRefused(
            f"{before.name}: run {before.number} was changed since it was read; next: look at it "
            f"with `sluice experiment status {before.name}`, and try again"
        )
    _append(connection, after, now, who, facts)
    return after


def _append(
    connection: Connection,
    record: ExperimentRecord,
    now: datetime,
    who: tuple[str, str],
    facts: Mapping[str, Any],
) -> None:
    values = {
        "name": record.name,
        "number": record.number,
        "at": write_time(now),
        "phase": record.phase.value,
        "given_by": who[0],
        "reason": who[1],
        "facts": json.dumps(dict(facts), allow_nan=False),
    }
    connection.execute(EXPERIMENT_LOG.insert().values(values))


def _read(connection: Connection, name: str, number: int) -> ExperimentRecord | None:
    same = EXPERIMENTS.c.name == name
    if number:
        same = and_(same, EXPERIMENTS.c.number == number)
    else:
        newest = select(func.max(EXPERIMENTS.c.number)).where(EXPERIMENTS.c.name == name)
        same = and_(same, EXPERIMENTS.c.number == newest.scalar_subquery())
    row = connection.execute(select(EXPERIMENTS).where(same)).mappings().first()
    return _build(row) if row else None


def _write(record: ExperimentRecord) -> dict[str, Any]:
    times = {name: getattr(record, name) for name in TIMES}
    return {
        "name": record.name,
        "number": record.number,
        "service": record.service,
        "phase": record.phase.value,
        "config": write_experiment(record.config),
        "plan": dump_facts(record.plan),
        "control": record.control,
        "treatment": record.treatment,
        "salt": record.salt,
        "kind": record.kind,
        "epoch": record.epoch,
        **{name: write_time(moment) if moment else "" for name, moment in times.items()},
        "end_reason": record.end_reason,
        "analysis": dump_facts(record.analysis) if record.analysis else "",
        "decision": dump_facts(record.decision) if record.decision else "",
        "revision": record.revision,
    }


def _build(row: RowMapping) -> ExperimentRecord:
    times = {name: datetime.fromisoformat(row[name]) if row[name] else None for name in TIMES}
    return ExperimentRecord(
        name=row["name"],
        number=row["number"],
        service=row["service"],
        phase=ExperimentPhase(row["phase"]),
        config=read_experiment(row["config"]),
        plan=load_facts(ExperimentPlan, row["plan"]),
        control=row["control"],
        treatment=row["treatment"],
        salt=row["salt"],
        kind=row["kind"],
        epoch=row["epoch"],
        end_reason=row["end_reason"],
        analysis=load_facts(ExperimentAnalysis, row["analysis"]),
        decision=load_facts(ExperimentDecision, row["decision"]),
        revision=row["revision"],
        **times,
    )


def _build_entry(row: RowMapping) -> ExperimentLogEntry:
    return ExperimentLogEntry(
        name=row["name"],
        number=row["number"],
        at=datetime.fromisoformat(row["at"]),
        phase=ExperimentPhase(row["phase"]),
        by=row["given_by"],
        reason=row["reason"],
        facts=parse_json(row["facts"]),
    )


def _is(record: ExperimentRecord) -> ColumnElement[bool]:
    return and_(EXPERIMENTS.c.name == record.name, EXPERIMENTS.c.number == record.number)
