"""The control store: the shared state of concurrent runs, which outlives all of them.

A SQLite file in the state folder, or Postgres where `SLUICE_CONTROL_URL` names one.
"""

from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

from sluice.adapters.control.database import Database
from sluice.adapters.control.migrations import migrate
from sluice.home import Home, find_home

if TYPE_CHECKING:
    from sluice.adapters.control.admissions import Admissions
    from sluice.adapters.control.approvals import Approvals
    from sluice.adapters.control.causes import Causes, Watermarks
    from sluice.adapters.control.commands import Commands
    from sluice.adapters.control.experiments.records import Experiments
    from sluice.adapters.control.leases import Leases
    from sluice.adapters.control.monitoring.alerts import Alerts, SignalLog
    from sluice.adapters.control.monitoring.drift import DriftStates
    from sluice.adapters.control.monitoring.health import HealthReader
    from sluice.adapters.control.monitoring.performance import PerformanceWindows
    from sluice.adapters.control.monitoring.retrainings import Retrainings
    from sluice.adapters.control.moves import Moves
    from sluice.adapters.control.recovery import Recovery
    from sluice.adapters.control.releases import Releases
    from sluice.adapters.control.rollouts import Rollouts
    from sluice.adapters.control.routes import Routes
    from sluice.adapters.control.spending import Spending
    from sluice.adapters.control.timeline import Timeline

IDENTITY = ("", "identity")
"""Service and subject of the watermark that holds the store's identity."""


class Control:
    """One control store; nothing is created or connected before `prepare`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def leases(self) -> "Leases":
        """Leases of services: who releases, who rolls out."""
        from sluice.adapters.control.leases import Leases

        return Leases(self._database)

    @cached_property
    def causes(self) -> "Causes":
        """What may start runs, each once."""
        from sluice.adapters.control.causes import Causes

        return Causes(self._database)

    @cached_property
    def approvals(self) -> "Approvals":
        """Requests for approval and their answers."""
        from sluice.adapters.control.approvals import Approvals

        return Approvals(self._database)

    @cached_property
    def admissions(self) -> "Admissions":
        """Which versions may serve."""
        from sluice.adapters.control.admissions import Admissions

        return Admissions(self._database)

    @cached_property
    def watermarks(self) -> "Watermarks":
        """How far each reader has come."""
        from sluice.adapters.control.causes import Watermarks

        return Watermarks(self._database)

    @cached_property
    def routes(self) -> "Routes":
        """Which version serves."""
        from sluice.adapters.control.routes import Routes

        return Routes(self._database)

    @cached_property
    def rollouts(self) -> "Rollouts":
        """Rollouts and their phases."""
        from sluice.adapters.control.rollouts import Rollouts

        return Rollouts(self._database)

    @cached_property
    def commands(self) -> "Commands":
        """Commands of people to rollouts."""
        from sluice.adapters.control.commands import Commands

        return Commands(self._database)

    @cached_property
    def recovery(self) -> "Recovery":
        """What a lost store is rebuilt from."""
        from sluice.adapters.control.recovery import Recovery

        return Recovery(self._database)

    @cached_property
    def moves(self) -> "Moves":
        """Moves of routes by people."""
        from sluice.adapters.control.moves import Moves

        return Moves(self._database)

    @cached_property
    def timeline(self) -> "Timeline":
        """Who did what, when and why."""
        from sluice.adapters.control.timeline import Timeline

        return Timeline(self._database)

    @cached_property
    def performance(self) -> "PerformanceWindows":
        """Measured windows of performance."""
        from sluice.adapters.control.monitoring.performance import PerformanceWindows

        return PerformanceWindows(self._database)

    @cached_property
    def alerts(self) -> "Alerts":
        """Alerts that are open."""
        from sluice.adapters.control.monitoring.alerts import Alerts

        return Alerts(self._database)

    @cached_property
    def signals(self) -> "SignalLog":
        """What alerts were made of."""
        from sluice.adapters.control.monitoring.alerts import SignalLog

        return SignalLog(self._database)

    @cached_property
    def retrainings(self) -> "Retrainings":
        """Retrainings that data or drift caused."""
        from sluice.adapters.control.monitoring.retrainings import Retrainings

        return Retrainings(self._database)

    @cached_property
    def releases(self) -> "Releases":
        """Releases and what they used."""
        from sluice.adapters.control.releases import Releases

        return Releases(self._database)

    @cached_property
    def drift(self) -> "DriftStates":
        """States of drift."""
        from sluice.adapters.control.monitoring.drift import DriftStates

        return DriftStates(self._database)

    @cached_property
    def health(self) -> "HealthReader":
        """What the status page shows."""
        from sluice.adapters.control.monitoring.health import HealthReader

        return HealthReader(self._database)

    @cached_property
    def spending(self) -> "Spending":
        """Budgets and reservations."""
        from sluice.adapters.control.spending import Spending

        return Spending(self._database)

    @cached_property
    def experiments(self) -> "Experiments":
        """Experiments: plans, traffic, analyses and decisions."""
        from sluice.adapters.control.experiments.records import Experiments

        return Experiments(self._database)

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


def prepare_control(home: Home | None = None) -> Control:
    """Open the control store, of the present state folder by default, with its schema up to date.

    Raises:
        ControlUnusable: its address is wrong, or its schema is newer than this code.
        Fault: the store cannot be reached.
    """
    control = open_control(home or find_home())
    control.prepare()
    return control
