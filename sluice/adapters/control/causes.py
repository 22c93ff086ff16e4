"""Causes in the control store: each is answered by one run, under the lease that the run holds."""

from dataclasses import asdict, replace

from sqlalchemy import ColumnElement, Connection, and_, select

from sluice.adapters.control.database import Database, insert_once
from sluice.adapters.control.leases import read_lease, require_lease
from sluice.adapters.control.schema import CAUSES
from sluice.control.cause import OPEN, Claim
from sluice.control.lease import Lease
from sluice.errors import LeaseLost

COLUMNS = [column for column in CAUSES.c if column.name != "sequence"]
KEY = ("service", "kind", "key")


class Causes:
    """The store's causes; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, lease: Lease, kind: str, key: str, flow_run: str) -> Claim:
        """Claim a cause for a run, under a lease that it holds; give who answers the cause.

        The first run gets it, and gets it again when it asks again. Another gets it only where
        that run's lease has passed on and it left the claim open.

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
            if not found.may_pass_to(flow_run, under):
                return found
            _write_claim(connection, mine)
            return mine

    def finish(self, lease: Lease, claim: Claim, outcome: str) -> Claim:
        """Settle a claim for good with a few words, such as `registered v3`.

        Raises:
            LeaseLost: the lease or the claim is no longer the caller's; nothing was changed.
            ValueError: the outcome is empty.
        """
        if outcome == OPEN:
            raise ValueError("a claim is settled with a word: found an empty outcome")
        with self._database.transact("settling a cause") as connection:
            require_lease(connection, lease)
            found = _read_claim(connection, claim)
            if replace(found, outcome=OPEN) != replace(claim, outcome=OPEN):
                raise LeaseLost(f"the cause {claim.kind} {claim.key} was taken over by another run")
            settled = replace(claim, outcome=outcome)
            _write_claim(connection, settled)
            return settled

    def find(self, service: str, kind: str, key: str) -> Claim | None:
        """Give the claim on a cause, None where nobody claimed it yet."""
        with self._database.transact("reading a cause") as connection:
            wanted = Claim(service, kind, key, "", "", 0)
            row = connection.execute(select(*COLUMNS).where(_is(wanted))).mappings().first()
        return Claim(**row) if row else None

    def list_claims(self, service: str) -> list[Claim]:
        """Give a service's claims in the order in which their causes were first claimed."""
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
