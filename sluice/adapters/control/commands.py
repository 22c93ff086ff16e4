"""Commands in the control store: given by people, each answered once by the controller."""

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from sluice.adapters.control.database import Database
from sluice.adapters.control.schema import COMMANDS, ROLLOUTS
from sluice.control.command import BY_HAND, RecordedCommand
from sluice.errors import CommandRefused

OBEYED, REFUSED = "obey", "refuse"


class Commands:
    """The store's commands; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def give(self, service: str, action: str, by: str, why: str, now: datetime) -> RecordedCommand:
        """Put a command to the rollout that is under way.

        Raises:
            CommandRefused: none is, or there is no name or no reason.
        """
        require_words(action, by, why)
        with self._database.transact("giving a command") as connection:
            open_one = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.ended == "")
            wanted = select(ROLLOUTS.c.number).where(open_one).with_for_update()
            number = connection.execute(wanted).scalar()
            if number is None:
                raise CommandRefused(
                    f"{action}: no rollout of {service} is under way; "
                    "next: `sluice rollout` begins one"
                )
            return _insert(connection, RecordedCommand(0, service, number, action, by, why, now))

    def record(
        self, service: str, action: str, by: str, why: str, words: str, now: datetime
    ) -> RecordedCommand:
        """Keep what was done by hand while no rollout was under way, with what came of it.

        Raises:
            CommandRefused: there is no name or no reason.
        """
        require_words(action, by, why)
        done = RecordedCommand(0, service, BY_HAND, action, by, why, now, OBEYED, words)
        with self._database.transact("recording a command") as connection:
            return _insert(connection, done)

    def find(self, sequence: int) -> RecordedCommand | None:
        """Give a command as it stands."""
        with self._database.transact("reading a command") as connection:
            return next(iter(_read(connection, COMMANDS.c.sequence == sequence)), None)

    def find_next(self, service: str, number: int) -> RecordedCommand | None:
        """Give the oldest command to a rollout that nobody answered."""
        with self._database.transact("looking for a command") as connection:
            return next(iter(_read(connection, is_waiting(service, number))), None)

    def list_commands(self, service: str) -> list[RecordedCommand]:
        """Give all commands about a service, oldest first."""
        with self._database.transact("listing commands") as connection:
            return _read(connection, COMMANDS.c.service == service)


def answer_command(
    connection: Connection, command: RecordedCommand, obeyed: bool, words: str
) -> None:
    """Answer a command inside a transaction.

    Raises:
        CommandRefused: it was answered already.
    """
    still = and_(COMMANDS.c.sequence == command.sequence, COMMANDS.c.answer == "")
    values = {"answer": OBEYED if obeyed else REFUSED, "words": words}
    if connection.execute(COMMANDS.update().where(still).values(values)).rowcount != 1:
        raise CommandRefused(f"command {command.sequence} was answered already")


def refuse_waiting(connection: Connection, service: str, number: int, words: str) -> None:
    """Refuse every command to a rollout that is over, inside a transaction."""
    values = {"answer": REFUSED, "words": words}
    connection.execute(COMMANDS.update().where(is_waiting(service, number)).values(values))


def is_waiting(service: str, number: int) -> ColumnElement[bool]:
    """Give the condition of a command to a rollout that nobody answered."""
    about = and_(COMMANDS.c.service == service, COMMANDS.c.number == number)
    return and_(about, COMMANDS.c.answer == "")


def require_words(action: str, by: str, why: str) -> None:
    """Refuse a command by nobody or for no reason.

    Raises:
        CommandRefused: there is no name or no reason.
    """
    if not by.strip() or not why.strip():
        found = "no name" if not by.strip() else "no reason"
        raise CommandRefused(f"{action}: found {found}; say who and why")


def _insert(connection: Connection, command: RecordedCommand) -> RecordedCommand:
    values = {
        "service": command.service,
        "number": command.number,
        "action": command.action,
        "given_by": command.by,
        "why": command.why,
        "at": command.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "answer": command.answer,
        "words": command.words,
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
        why=row["why"],
        at=datetime.fromisoformat(row["at"]),
        answer=row["answer"],
        words=row["words"],
    )
