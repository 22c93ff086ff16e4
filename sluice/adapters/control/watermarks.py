"""Watermarks in the control store, changed only where the row is still as the caller saw it."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, and_, select

from sluice.adapters.control.database import Database, insert_once
from sluice.adapters.control.schema import WATERMARKS
from sluice.control.watermark import Watermark

NEVER = ""


class Watermarks:
    """The store's watermarks; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, service: str, what: str) -> Watermark:
        """Give the watermark as it stands; one that was never moved is new."""
        wanted = select(WATERMARKS).where(
            and_(WATERMARKS.c.service == service, WATERMARKS.c.what == what)
        )
        with self._database.transact("reading a watermark") as connection:
            row = connection.execute(wanted).mappings().first()
        return _build(row) if row else Watermark(service, what)

    def list_marks(self, service: str) -> dict[str, str]:
        """Give all marks of a service by what they are of."""
        wanted = select(WATERMARKS).where(WATERMARKS.c.service == service)
        with self._database.transact("listing watermarks") as connection:
            found = [_build(row) for row in connection.execute(wanted).mappings()]
        return {item.what: item.mark for item in found}

    def move(self, seen: Watermark, to: Watermark) -> bool:
        """Move a watermark on; False where it is no longer as it was seen: another was first."""
        with self._database.transact("moving a watermark") as connection:
            if seen.is_new:
                return insert_once(connection, WATERMARKS, _write(to))
            same = and_(*(WATERMARKS.c[name] == value for name, value in _write(seen).items()))
            change = WATERMARKS.update().where(same).values(_write(to))
            return connection.execute(change).rowcount == 1


def _write(item: Watermark) -> dict[str, Any]:
    at = item.announced
    told = at.astimezone(UTC).isoformat(timespec="microseconds") if at else NEVER
    return {"service": item.service, "what": item.what, "mark": item.mark, "announced": told}


def _build(row: RowMapping) -> Watermark:
    told = row["announced"]
    announced = datetime.fromisoformat(told) if told != NEVER else None
    return Watermark(row["service"], row["what"], row["mark"], announced)
