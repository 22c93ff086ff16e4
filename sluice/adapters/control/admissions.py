"""What the control store knows of a version that may serve: its approval, or an exception."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from sluice.adapters.control.approvals import Approvals
from sluice.adapters.control.commands import require_reason
from sluice.adapters.control.database import Database, write_time
from sluice.adapters.control.schema import GATE_EXCEPTIONS
from sluice.control.admission import GateException, VersionAdmission, admit_version
from sluice.errors import PromotionRefused


class Admissions:
    """Decides which versions may serve; each call is one or two transactions.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._approvals = Approvals(database)

    def judge(self, service: str, version: int, tags: Mapping[str, str]) -> VersionAdmission:
        """Decide whether a version with these tags in the registry may serve."""
        requests = self._approvals.list_requests(service)
        return admit_version(service, version, tags, requests, self.list_exceptions(service))

    def confirm(self, service: str, version: int, tags: Mapping[str, str]) -> VersionAdmission:
        """Return why a version with these tags may serve.

        Raises:
            PromotionRefused: it may not.
        """
        found = self.judge(service, version, tags)
        if found.objection:
            raise PromotionRefused(found.objection)
        return found

    def make_exception(
        self, service: str, version: int, by: str, reason: str, now: datetime
    ) -> GateException:
        """Record a person's exception for a version; it is never changed or removed.

        Raises:
            CommandRefused: there is no name or no reason.
        """
        require_reason("force", by, reason)
        made = GateException(service, version, by.strip(), reason.strip(), now)
        values = {
            "service": made.service,
            "version": made.version,
            "given_by": made.by,
            "reason": made.reason,
            "at": write_time(now),
        }
        with self._database.transact("recording an exception") as connection:
            connection.execute(GATE_EXCEPTIONS.insert().values(**values))
        return made

    def list_exceptions(self, service: str) -> list[GateException]:
        """Return the exceptions that persons made for versions of a service, oldest first."""
        wanted = select(GATE_EXCEPTIONS).where(GATE_EXCEPTIONS.c.service == service)
        with self._database.transact("listing exceptions") as connection:
            rows = connection.execute(wanted.order_by(GATE_EXCEPTIONS.c.sequence)).mappings().all()
        return [
            GateException(
                service=row["service"],
                version=row["version"],
                by=row["given_by"],
                reason=row["reason"],
                at=datetime.fromisoformat(row["at"]),
            )
            for row in rows
        ]
