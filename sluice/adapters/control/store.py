"""The control store: the shared state of concurrent runs, which outlives all of them.

A SQLite file in the state folder, or Postgres where `SLUICE_CONTROL_URL` names one.
"""

from sluice.adapters.control.approvals import Approvals
from sluice.adapters.control.causes import Causes, Watermarks
from sluice.adapters.control.champions import Champions
from sluice.adapters.control.commands import Commands
from sluice.adapters.control.database import Database
from sluice.adapters.control.leases import Leases
from sluice.adapters.control.migrations import migrate
from sluice.adapters.control.rollouts import Rollouts
from sluice.adapters.control.routes import Routes
from sluice.adapters.control.timeline import Timeline
from sluice.home import Home


class Control:
    """One control store; nothing is created or connected before `prepare`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.leases = Leases(database)
        self.causes = Causes(database)
        self.approvals = Approvals(database)
        self.watermarks = Watermarks(database)
        self.routes = Routes(database)
        self.rollouts = Rollouts(database)
        self.commands = Commands(database)
        self.champions = Champions(database)
        self.timeline = Timeline(database)

    def prepare(self) -> list[int]:
        """Create the store, or bring its schema up to date; return the steps that were missing.

        Raises:
            ControlUnusable: its schema is newer than this code.
            ControlUnavailable: the database is locked or does not answer.
            StorageFull: no room to write.
        """
        return migrate(self._database)


def open_control(home: Home) -> Control:
    """Return the control store of a state folder, or the one that the environment names.

    Raises:
        ControlUnusable: the address is wrong, or its driver is not installed.
    """
    return Control(Database(home.control_url))
