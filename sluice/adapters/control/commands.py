"""Commands in the control store: given by people, each answered once by the controller."""

from datetime import datetime
from unicodedata import category

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from sluice.adapters.control.database import Database, write_time
from sluice.adapters.control.schema import COMMANDS, ROLLOUTS
from sluice.control.command import BY_HAND, RecordedCommand
from sluice.errors import CommandRefused

OBEYED, REFUSED = "obey", "refuse"
MOST_NAME, MOST_REASON = 200, 2_000
"""Most characters of a person's name and of a reason: events, pages and logs repeat them."""
HIDDEN = ("Cc", "Cs")
"""Unicode categories of control characters, and of halves of characters."""
BREAKS = "\n\r\t"
"""Control characters that a name or a reason may have."""


class Commands:
    """The store's commands; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def give(
        self, service: str, action: str, by: str, reason: str, now: datetime, origin: str = ""
    ) -> RecordedCommand:
        """Record a command for the rollout that is under way.

        Raises:
            CommandRefused: no rollout is, or there is no name or no reason.
        """
        require_reason(action, by, reason)
        with self._database.transact("giving a command") as connection:
            open_one = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.ended == "")
            wanted = select(ROLLOUTS.c.number).where(open_one).with_for_update()
            number = connection.execute(wanted).scalar()
            if number is None:
                raise CommandRefused(
                    f"{action}: no rollout of {service} is under way; "
                    "next: `sluice rollout` begins one"
                )
            given = RecordedCommand(0, service, number, action, by, reason, now, origin=origin)
            return insert_command(connection, given)

    def record(  # noqa: PLR0913, PLR0917
        self,
        service: str,
        action: str,
        by: str,
        reason: str,
        message: str,
        now: datetime,
        origin: str = "",
    ) -> RecordedCommand:
        """Record an action by hand while no rollout was under way, with its result.

        Raises:
            CommandRefused: there is no name or no reason.
        """
        require_reason(action, by, reason)
        done = RecordedCommand(
            0, service, BY_HAND, action, by, reason, now, OBEYED, message, origin
        )
        with self._database.transact("recording a command") as connection:
            return insert_command(connection, done)

    def find(self, sequence: int) -> RecordedCommand | None:
        """Return a command with its answer so far; None if there is no such command."""
        with self._database.transact("reading a command") as connection:
            return next(iter(_read(connection, COMMANDS.c.sequence == sequence)), None)

    def find_next(self, service: str, number: int) -> RecordedCommand | None:
        """Return a rollout's oldest command without an answer; None if there is none."""
        with self._database.transact("looking for a command") as connection:
            return next(iter(_read(connection, is_waiting(service, number))), None)

    def list_commands(self, service: str) -> list[RecordedCommand]:
        """Return all commands for a service, oldest first."""
        with self._database.transact("listing commands") as connection:
            return _read(connection, COMMANDS.c.service == service)


def answer_command(
    connection: Connection, command: RecordedCommand, obeyed: bool, message: str
) -> None:
    """Answer a command inside a transaction.

    Raises:
        CommandRefused: it was answered already.
    """
    still = and_(COMMANDS.c.sequence == command.sequence, COMMANDS.c.answer == "")
    values = {"answer": OBEYED if obeyed else REFUSED, "message": message}
    if connection.execute(COMMANDS.update().where(still).values(values)).rowcount != 1:
        raise CommandRefused(f"command {command.sequence} was answered already")


def refuse_waiting(connection: Connection, service: str, number: int, message: str) -> None:
    """Refuse all open commands of a rollout that is over, inside a transaction."""
    values = {"answer": REFUSED, "message": message}
    connection.execute(COMMANDS.update().where(is_waiting(service, number)).values(values))


def is_waiting(service: str, number: int) -> ColumnElement[bool]:
    """Return the condition for a rollout's commands without an answer."""
    same = and_(COMMANDS.c.service == service, COMMANDS.c.number == number)
    return and_(same, COMMANDS.c.answer == "")


def require_reason(action: str, by: str, reason: str) -> None:
    """Refuse a command without a name or without a reason, or with one that cannot be shown.

    Raises:
        CommandRefused: there is no name or no reason, or it is too long or has control characters.
    """
    if not by.strip() or not reason.strip():
        found = "no name" if not by.strip() else "no reason"
        raise CommandRefused(f"{action}: found {found}; needed: a name and a reason")
    for noun, text, most in (("name", by, MOST_NAME), ("reason", reason, MOST_REASON)):
        if len(text) > most:
            raise CommandRefused(
                f"{action}: {noun}: found {len(text):,} characters; allowed: {most:,} at most"
            )
        odd = next((one for one in text if category(one) in HIDDEN and one not in BREAKS), "")
        if odd:
            raise CommandRefused(
                f"{action}: {noun}: found the control character {odd!r}; allowed: plain text"
            )


def insert_command(connection: Connection, command: RecordedCommand) -> RecordedCommand:
    """Insert a command inside a transaction; return it with its number."""
    values = {
        "service": command.service,
        "number": command.number,
        "action": command.action,
        "given_by": command.by,
        "reason": command.reason,
        "at": write_time(command.at),
        "answer": command.answer,
        "message": command.message,
        "origin": command.origin,
    }
    statement = COMMANDS.insert().values(**values).returning(COMMANDS)
    return _build(connection.execute(statement).mappings().one())


def _read(connection: Connection, wanted: ColumnElement[bool]) -> list[RecordedCommand]:
    rows = select(COMMANDS).where(wanted).order_by(COMMANDS.c.sequence)
    return [_build(row) for row in connection.execute(rows).mappings()]


def _build(row: RowMapping) -> RecordedCommand:
    return RecordedCommand(
        sequence=row["sequence"],
        service=row["service"],
        number=row["number"],
        action=row["action"],
        by=row["given_by"],
        reason=row["reason"],
        at=datetime.fromisoformat(row["at"]),
        answer=row["answer"],
        message=row["message"],
        origin=row["origin"],
    )
