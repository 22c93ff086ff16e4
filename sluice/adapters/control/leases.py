"""Leases in the control store; a row changes only if it is still as the caller read it."""

from dataclasses import asdict

from sqlalchemy import Connection, and_, select

from sluice.adapters.control.database import Database, insert_once
from sluice.adapters.control.schema import LEASES
from sluice.control.lease import Lease
from sluice.errors import LeaseLost


class Leases:
    """The store's leases; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, service: str, purpose: str) -> Lease:
        """Return the current lease; one that was never held is free, at epoch 0."""
        with self._database.transact("reading a lease") as connection:
            return read_lease(connection, service, purpose)

    def take(self, seen: Lease, holder: str, ttl: float) -> Lease | None:
        """Take a lease that is free, or that has lapsed by a `LeaseWatch`.

        Return None if it changed since it was read: its holder renewed it, or another was first.
        """
        with self._database.transact("taking a lease") as connection:
            insert_once(connection, LEASES, asdict(Lease(seen.service, seen.purpose)))
            taken = seen.take(holder, ttl)
            return taken if _swap(connection, seen, taken) else None

    def acquire(self, service: str, purpose: str, holder: str, ttl: float) -> Lease:
        """Take the lease if it is free; otherwise return its holder's.

        A holder that acquires again, after a lost answer, gets its own lease.
        """
        seen = self.find(service, purpose)
        while seen.is_free:
            taken = self.take(seen, holder, ttl)
            if taken:
                return taken
            seen = self.find(service, purpose)
        return seen

    def renew(self, lease: Lease) -> Lease:
        """Renew the lease and return it.

        Raises:
            LeaseLost: another holds it, or it was freed.
        """
        with self._database.transact("renewing a lease") as connection:
            return renew_lease(connection, lease)

    def release(self, lease: Lease) -> bool:
        """Free the lease; return False and change nothing if another holds it."""
        with self._database.transact("freeing a lease") as connection:
            try:
                now = require_lease(connection, lease)
            except LeaseLost:
                return False
            return _swap(connection, now, now.free())


def read_lease(connection: Connection, service: str, purpose: str) -> Lease:
    """Return the lease inside a transaction, locked until that ends."""
    wanted = and_(LEASES.c.service == service, LEASES.c.purpose == purpose)
    row = connection.execute(select(LEASES).where(wanted).with_for_update()).mappings().first()
    return Lease(**row) if row else Lease(service, purpose)


def require_lease(connection: Connection, lease: Lease) -> Lease:
    """Return the current lease inside a transaction, if the caller holds it.

    Raises:
        LeaseLost: another holds it, or it was freed.
    """
    now = read_lease(connection, lease.service, lease.purpose)
    if (now.epoch, now.holder) != (lease.epoch, lease.holder):
        fact = "was freed" if now.is_free else "was taken over"
        raise LeaseLost(
            f"the lease {lease.purpose} of {lease.service}, epoch {lease.epoch}, {fact}; "
            f"it is at epoch {now.epoch}"
        )
    return now


def renew_lease(connection: Connection, lease: Lease) -> Lease:
    """Renew a lease inside a transaction.

    Raises:
        LeaseLost: another holds it, or it was freed.
    """
    now = require_lease(connection, lease)
    _swap(connection, now, now.renew())
    return now.renew()


def _swap(connection: Connection, seen: Lease, wanted: Lease) -> bool:
    """Change the row if every column is still as it was read."""
    same = and_(*(LEASES.c[name] == value for name, value in asdict(seen).items()))
    return connection.execute(LEASES.update().where(same).values(asdict(wanted))).rowcount == 1
