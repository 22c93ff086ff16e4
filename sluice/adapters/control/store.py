"""The control store: the shared state of concurrent runs, which outlives all of them.

A SQLite file in the state folder, or Postgres where `SLUICE_CONTROL_URL` names one.
"""

from uuid import uuid4

from sluice.adapters.control.admissions import Admissions
from sluice.adapters.control.approvals import Approvals
from sluice.adapters.control.causes import Causes, Watermarks
from sluice.adapters.control.commands import Commands
from sluice.adapters.control.database import Database
from sluice.adapters.control.leases import Leases
from sluice.adapters.control.migrations import migrate
from sluice.adapters.control.moves import Moves
from sluice.adapters.control.recovery import Recovery
from sluice.adapters.control.rollouts import Rollouts
from sluice.adapters.control.routes import Routes
from sluice.adapters.control.timeline import Timeline
from sluice.home import Home

IDENTITY = ("", "identity")
"""Service and subject of the watermark that holds the store's identity."""


class Control:
    """One control store; nothing is created or connected before `prepare`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.leases = Leases(database)
        self.causes = Causes(database)
        self.approvals = Approvals(database)
        self.admissions = Admissions(database)
        self.watermarks = Watermarks(database)
        self.routes = Routes(database)
        self.rollouts = Rollouts(database)
        self.commands = Commands(database)
        self.recovery = Recovery(database)
        self.moves = Moves(database)
        self.timeline = Timeline(database)

    def prepare(self) -> list[int]:
        """Create the store, or bring its schema up to date; return the steps that were missing.

        Raises:
            ControlUnusable: its schema is newer than this code.
            ControlUnavailable: the database is locked or does not answer.
            StorageFull: no room to write.
        """
        steps = migrate(self._database)
        seen = self.watermarks.find(*IDENTITY)
        if seen.is_new:
            self.watermarks.move(seen, seen.settle(uuid4().hex))
        return steps

    def find_identity(self) -> str:
        """Return the store's own name, which no other store has; empty before `prepare`.

        Raises:
            ControlUnavailable: the database is locked or does not answer.
        """
        return self.watermarks.find(*IDENTITY).mark


def open_control(home: Home) -> Control:
    """Return the control store of a state folder, or the one that the environment names.

    Raises:
        ControlUnusable: the address is wrong, or its driver is not installed.
    """
    return Control(Database(home.control_url))
