"""What the control store knows of every service's standing, and of one service's history."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from serving.page.status.facts import (
    ServiceHistory,
    ServiceStanding,
    Standings,
    make_empty_row,
)
from serving.page.view import ServiceRow
from sluice.adapters.control.store import Control
from sluice.control.health import Health
from sluice.control.release import ReleaseRecord
from sluice.control.spending import BudgetPeriod, Spent, name_period
from sluice.control.timeline import TimelineEntry

MAX_RELEASES, MAX_CHANGES, MAX_ENTRIES = 10, 10, 20
"""Releases, changes of drift and entries of the timeline that a service's page shows."""

PERIODS: tuple[BudgetPeriod, ...] = ("day", "week", "month")


class StandingReader:
    """Reads the standing of services; raises `ControlUnavailable` where the store is away."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def read_standings(self, rows: tuple[ServiceRow, ...]) -> Standings:
        """Return the standing of each service that has a row, a release or a judgement."""
        changes = self._control.timeline.list_changes()
        releases = self._control.releases.list_newest()
        health = self._control.health.list_health()
        waiting = self._control.approvals.list_waiting(datetime.now(UTC))
        prompts = {route.service for route in self._control.routes.list_routes("prompt")}
        spent = self._read_spent() if prompts else {}
        known = {row.service: row for row in rows}
        names = sorted({*known, *releases, *health})
        found = (
            _stand(
                known.get(name) or make_empty_row(name),
                changes.get(name),
                releases.get(name),
                waiting,
                health,
            )
            for name in names
        )
        return Standings(
            tuple(
                replace(one, is_prompt=True, spent=spent.get(one.row.service, {}))
                if one.row.service in prompts
                else one
                for one in found
            )
        )

    def _read_spent(self) -> Mapping[str, Mapping[BudgetPeriod, Spent]]:
        """Return what the prompts cost in this day, week and month, by prompt and period."""
        now = datetime.now(UTC)
        periods = {name_period(period, now): period for period in PERIODS}
        found: dict[str, dict[BudgetPeriod, Spent]] = {}
        for account, spent in self._control.spending.list_spent("service", periods).items():
            found.setdefault(account.subject, {})[periods[account.period]] = spent
        return found

    def read_history(self, service: str) -> ServiceHistory:
        """Return what happened to a service, newest first."""
        return ServiceHistory(
            tuple(self._control.releases.list_last(service, MAX_RELEASES)),
            tuple(self._control.drift.list_changes(service, MAX_CHANGES)),
            tuple(self._control.timeline.list_entries(service, MAX_ENTRIES)),
        )


def _stand(
    row: ServiceRow,
    change: TimelineEntry | None,
    release: ReleaseRecord | None,
    waiting: Mapping[str, tuple[int, ...]],
    health: Mapping[str, Health],
) -> ServiceStanding:
    """Return a service's standing; a change counts only if it explains what serves."""
    name = row.service
    since = change if change is not None and change.version == row.champion else None
    return ServiceStanding(row, since, release, waiting.get(name, ()), health.get(name, Health()))
