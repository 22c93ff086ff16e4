"""Causes and watermarks in the control store; one run handles each cause."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from sluice.adapters.control.database import Database, insert_once, write_time
from sluice.adapters.control.leases import read_lease, require_lease
from sluice.adapters.control.schema import CAUSES, WATERMARKS
from sluice.control.cause import OPEN, Claim
from sluice.control.lease import Lease
from sluice.control.watermark import CONFLICT_SUBJECT, NO_CONFLICT, Watermark
from sluice.errors import LeaseLost

COLUMNS = [column for column in CAUSES.c if column.name != "sequence"]
KEY = ("service", "kind", "key")


class Causes:
    """The store's causes; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, lease: Lease, kind: str, key: str, flow_run: str, *, reopens: bool = False
    ) -> Claim:
        """Claim a cause for a run, under a lease that it holds; return the claim that counts.

        The first run gets the cause, also if it claims it twice. Another run gets it only if the
        first run's lease is gone and its claim is still open. A run that `reopens` gets a settled
        one too: a person asked for it, and its outcome is the one that counts.

        Raises:
            LeaseLost: the lease is no longer the caller's.
        """
        mine = Claim(lease.service, kind, key, flow_run, lease.purpose, lease.epoch)
        with self._database.transact("claiming a cause") as connection:
            require_lease(connection, lease)
            if insert_once(connection, CAUSES, asdict(mine)):
                return mine
            found = _read_claim(connection, mine)
            under = read_lease(connection, found.service, found.purpose)
            may_reopen = reopens and found.is_settled
            if not (may_reopen or found.may_pass_to(flow_run, under)):
                return found
            _write_claim(connection, mine)
            return mine

    def finish(self, lease: Lease, claim: Claim, outcome: str) -> Claim:
        """Settle a claim with a short text, such as `registered v3`.

        Raises:
            LeaseLost: the lease or the claim is no longer the caller's; nothing was changed.
            ValueError: the outcome is empty.
        """
        if outcome == OPEN:
            raise ValueError("a claim needs an outcome: found an empty outcome")
        with self._database.transact("settling a cause") as connection:
            require_lease(connection, lease)
            found = _read_claim(connection, claim)
            if replace(found, outcome=OPEN) != replace(claim, outcome=OPEN):
                raise LeaseLost(f"the cause {claim.kind} {claim.key} was taken over by another run")
            settled = replace(claim, outcome=outcome)
            _write_claim(connection, settled)
            return settled

    def find(self, service: str, kind: str, key: str) -> Claim | None:
        """Return the claim on a cause; None if there is none yet."""
        with self._database.transact("reading a cause") as connection:
            wanted = Claim(service, kind, key, "", "", 0)
            row = connection.execute(select(*COLUMNS).where(_is(wanted))).mappings().first()
        return Claim(**row) if row else None

    def list_claims(self, service: str) -> list[Claim]:
        """Return a service's claims in the order in which their causes were first claimed."""
        wanted = select(*COLUMNS).where(CAUSES.c.service == service).order_by(CAUSES.c.sequence)
        with self._database.transact("listing causes") as connection:
            return [Claim(**row) for row in connection.execute(wanted).mappings()]


def _is(claim: Claim) -> ColumnElement[bool]:
    return and_(*(CAUSES.c[name] == getattr(claim, name) for name in KEY))


def _read_claim(connection: Connection, claim: Claim) -> Claim:
    wanted = select(*COLUMNS).where(_is(claim)).with_for_update()
    return Claim(**connection.execute(wanted).mappings().one())


def _write_claim(connection: Connection, claim: Claim) -> None:
    connection.execute(CAUSES.update().where(_is(claim)).values(asdict(claim)))


NEVER = ""


class Watermarks:
    """The store's watermarks; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, service: str, subject: str) -> Watermark:
        """Return the current watermark; one that was never moved is new."""
        with self._database.transact("reading a watermark") as connection:
            return read_watermark(connection, service, subject)

    def find_conflict(self, service: str) -> str:
        """Return what control store, registry and gateways disagree on; empty where nothing."""
        mark = self.find(service, CONFLICT_SUBJECT).mark
        return "" if mark == NO_CONFLICT else mark

    def list_conflicts(self) -> dict[str, str]:
        """Return what control store, registry and gateways disagree on, by service."""
        is_conflict = and_(
            WATERMARKS.c.subject == CONFLICT_SUBJECT, WATERMARKS.c.mark != NO_CONFLICT
        )
        wanted = select(WATERMARKS).where(is_conflict)
        with self._database.transact("listing conflicts") as connection:
            found = [_build(row) for row in connection.execute(wanted).mappings()]
        return {item.service: item.mark for item in found}

    def list_marks(self, service: str) -> dict[str, str]:
        """Return all marks of a service by subject."""
        wanted = select(WATERMARKS).where(WATERMARKS.c.service == service)
        with self._database.transact("listing watermarks") as connection:
            found = [_build(row) for row in connection.execute(wanted).mappings()]
        return {item.subject: item.mark for item in found}

    def move(self, seen: Watermark, to: Watermark) -> bool:
        """Move a watermark; return False if it changed since it was read: another was first."""
        with self._database.transact("moving a watermark") as connection:
            if seen.is_new:
                return insert_once(connection, WATERMARKS, _write(to))
            same = and_(*(WATERMARKS.c[name] == value for name, value in _write(seen).items()))
            change = WATERMARKS.update().where(same).values(_write(to))
            return connection.execute(change).rowcount == 1


def read_watermark(connection: Connection, service: str, subject: str) -> Watermark:
    """Return, inside a transaction, the current watermark; one that was never moved is new."""
    row = connection.execute(select(WATERMARKS).where(is_of(service, subject))).mappings().first()
    return _build(row) if row else Watermark(service, subject)


def put_watermark(connection: Connection, to: Watermark) -> None:
    """Move a watermark inside a transaction, wherever it is."""
    if not insert_once(connection, WATERMARKS, _write(to)):
        same = is_of(to.service, to.subject)
        connection.execute(WATERMARKS.update().where(same).values(_write(to)))


def is_of(service: str, subject: str) -> ColumnElement[bool]:
    """Return the condition that a row is the watermark of a service and subject."""
    return and_(WATERMARKS.c.service == service, WATERMARKS.c.subject == subject)


def _write(item: Watermark) -> dict[str, Any]:
    at = item.announced
    announced = write_time(at) if at else NEVER
    return {
        "service": item.service,
        "subject": item.subject,
        "mark": item.mark,
        "announced": announced,
    }


def _build(row: RowMapping) -> Watermark:
    at = row["announced"]
    announced = datetime.fromisoformat(at) if at != NEVER else None
    return Watermark(row["service"], row["subject"], row["mark"], announced)
