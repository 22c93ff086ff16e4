"""What the control store knows of every service's standing, and of one service's history."""

from collections.abc import Mapping
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
from sluice.control.timeline import TimelineEntry

MAX_RELEASES, MAX_CHANGES, MAX_ENTRIES = 10, 10, 20
"""Releases, changes of drift and entries of the timeline that a service's page shows."""


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
        known = {row.service: row for row in rows}
        names = sorted({*known, *releases, *health})
        found = tuple(
            _stand(
                known.get(name) or make_empty_row(name),
                changes.get(name),
                releases.get(name),
                waiting,
                health,
            )
            for name in names
        )
        return Standings(found)

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
