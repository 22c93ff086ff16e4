"""Approvals in the control store: requested once, decided once, and every decision logged."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from sluice.adapters.control.database import Database, insert_once, write_time
from sluice.adapters.control.schema import APPROVALS, DECISIONS
from sluice.control.approval import Approval, ApprovalAnswer, ApprovalDecision
from sluice.errors import DecisionRefused

KEY = ("service", "version", "verdict_digest")
CLOCK = "the deadline"
LATE = "no decision before the deadline"
NEWER = "a newer version"


class Approvals:
    """The store's approvals; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    Times carry their zone; `now` is the caller's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def request(
        self, service: str, version: int, verdict_digest: str, deadline: datetime
    ) -> Approval:
        """Request a decision; a second request for the same verdicts returns the first one.

        Another digest is another request: only verdicts that were shown can be approved.
        """
        new = Approval(service, version, verdict_digest, deadline)
        values = {**_key(new), "deadline": write_time(deadline), "answer": new.answer.value}
        with self._database.transact("requesting an approval") as connection:
            insert_once(connection, APPROVALS, values)
            found = _read(connection, new)
        return found or new

    def decide(
        self,
        approval: Approval,
        answer: ApprovalAnswer,
        by: str,
        reason: str,
        now: datetime,
        origin: str = "",
    ) -> Approval:
        """Answer a request, exactly once; the same decision again, after a lost reply, is accepted.

        Raises:
            DecisionRefused: unknown, decided already, too late, or without a name and a reason.
        """
        if (
            answer not in (ApprovalAnswer.APPROVED, ApprovalAnswer.REFUSED)
            or not by.strip()
            or not reason.strip()
        ):
            raise DecisionRefused(
                f"{_name(approval)}: found '{answer}'{'' if by.strip() else ' without a name'}"
                f"{'' if reason.strip() else ' without a reason'}; "
                "allowed: approved or refused, with a name and a reason"
            )
        with self._database.transact("deciding an approval") as connection:
            found = _read(connection, approval)
            if found is None:
                raise DecisionRefused(f"{_name(approval)}: no such approval was requested")
            given = approval.decide(answer, by, reason, now, origin)
            if found.answer is answer and _is_logged(connection, given):
                return found
            if (
                found.answer is ApprovalAnswer.PENDING
                and found.answer_at(now) is ApprovalAnswer.PENDING
            ):
                return _settle(connection, found, given)
            state = found.answer_at(now)
        if state is ApprovalAnswer.EXPIRED:
            self.expire(approval.service, now)
        raise DecisionRefused(
            f"{_name(approval)} is {state} already; "
            f"next: `sluice show {approval.service}` has the reason"
        )

    def expire(self, service: str, now: datetime) -> list[Approval]:
        """Close and log a service's requests whose deadline has passed; return them."""
        with self._database.transact("closing late approvals") as connection:
            late = [
                item
                for item in _read_all(connection, service)
                if item.answer is ApprovalAnswer.PENDING
                and item.answer_at(now) is ApprovalAnswer.EXPIRED
            ]
            return [
                _settle(connection, item, item.decide(ApprovalAnswer.EXPIRED, CLOCK, LATE, now))
                for item in late
            ]

    def supersede(self, service: str, version: int, now: datetime) -> list[Approval]:
        """Close and log the open requests for versions older than this one; return them."""
        with self._database.transact("closing approvals of older versions") as connection:
            older = [
                item
                for item in _read_all(connection, service)
                if item.answer is ApprovalAnswer.PENDING and item.version < version
            ]
            reason, state = f"v{version} was registered while it waited", ApprovalAnswer.SUPERSEDED
            return [
                _settle(connection, item, item.decide(state, NEWER, reason, now)) for item in older
            ]

    def find(self, service: str, version: int, verdict_digest: str) -> Approval | None:
        """Return a request with its answer so far; None if there is none."""
        wanted = Approval(service, version, verdict_digest, datetime.min)
        with self._database.transact("reading an approval") as connection:
            return _read(connection, wanted)

    def list_requests(self, service: str) -> list[Approval]:
        """Return a service's requests, oldest first."""
        with self._database.transact("listing approvals") as connection:
            return _read_all(connection, service)

    def list_waiting(self, now: datetime) -> dict[str, tuple[int, ...]]:
        """Return the versions that wait for a decision at a time, by service, oldest first."""
        wanted = select(APPROVALS).where(APPROVALS.c.answer == ApprovalAnswer.PENDING.value)
        with self._database.transact("listing approvals that wait") as connection:
            rows = connection.execute(wanted.order_by(APPROVALS.c.sequence)).mappings().all()
        found: dict[str, tuple[int, ...]] = {}
        for item in map(_build, rows):
            if item.answer_at(now) is ApprovalAnswer.PENDING:
                found[item.service] = (*found.get(item.service, ()), item.version)
        return found

    def list_decisions(self, service: str) -> list[ApprovalDecision]:
        """Return a service's log of decisions, oldest first."""
        wanted = select(DECISIONS).where(DECISIONS.c.service == service)
        with self._database.transact("listing decisions") as connection:
            rows = connection.execute(wanted.order_by(DECISIONS.c.sequence)).mappings().all()
        return [
            ApprovalDecision(
                service=row["service"],
                version=row["version"],
                verdict_digest=row["verdict_digest"],
                answer=ApprovalAnswer(row["answer"]),
                by=row["decided_by"],
                reason=row["reason"],
                at=datetime.fromisoformat(row["at"]),
                origin=row["origin"],
            )
            for row in rows
        ]


def _key(item: Approval | ApprovalDecision) -> dict[str, str | int]:
    return {name: getattr(item, name) for name in KEY}


def _name(approval: Approval) -> str:
    return f"approval of {approval.service} v{approval.version}"


def _is(approval: Approval) -> ColumnElement[bool]:
    return and_(*(APPROVALS.c[name] == value for name, value in _key(approval).items()))


def _build(row: RowMapping) -> Approval:
    return Approval(
        service=row["service"],
        version=row["version"],
        verdict_digest=row["verdict_digest"],
        deadline=datetime.fromisoformat(row["deadline"]),
        answer=ApprovalAnswer(row["answer"]),
    )


def _read(connection: Connection, approval: Approval) -> Approval | None:
    wanted = select(APPROVALS).where(_is(approval)).with_for_update()
    row = connection.execute(wanted).mappings().first()
    return _build(row) if row else None


def _read_all(connection: Connection, service: str) -> list[Approval]:
    wanted = select(APPROVALS).where(APPROVALS.c.service == service).order_by(APPROVALS.c.sequence)
    rows = connection.execute(wanted.with_for_update()).mappings().all()
    return [_build(row) for row in rows]


def _is_logged(connection: Connection, given: ApprovalDecision) -> bool:
    decision = {"answer": given.answer.value, "decided_by": given.by, "reason": given.reason}
    wanted = {**_key(given), **decision}
    same = and_(*(DECISIONS.c[name] == value for name, value in wanted.items()))
    return connection.execute(select(DECISIONS.c.sequence).where(same)).first() is not None


def _settle(connection: Connection, approval: Approval, given: ApprovalDecision) -> Approval:
    """Write the answer and its entry in the log, in the caller's transaction."""
    answer = given.answer.value
    still = and_(_is(approval), APPROVALS.c.answer == ApprovalAnswer.PENDING.value)
    connection.execute(APPROVALS.update().where(still).values(answer=answer))
    entry = {"answer": answer, "decided_by": given.by, "reason": given.reason}
    values = {**_key(given), **entry, "at": write_time(given.at), "origin": given.origin}
    connection.execute(DECISIONS.insert().values(**values))
    return replace(approval, answer=given.answer)
