"""The schedules that a local stack keeps itself, so that no run exists that found nothing."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.server.schemas.schedules import SCHEDULE_TYPES
from pydantic import TypeAdapter

from sluice.config.deployments import Schedule, read_deployments

QUIET = {
    "flows.watch.watch": "watch",
    "flows.keeper.keeper": "keeper",
    "flows.monitor.monitor": "monitor",
}
"""Entrypoints of the flows that mostly find nothing, with the names of the flows."""
KEYS = {"cron", "interval", "rrule", "timezone", "day_or", "anchor_date"}
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
"""Where an interval without `anchor_date` begins."""


@dataclass(frozen=True)
class QuietSchedule:
    """One active schedule of such a flow, with the deployment's name, `flow/name`."""

    deployment: str
    service: str
    """The service that is looked at, empty for the flow's default."""
    schedule: Schedule

    def find_next(self, after: datetime) -> datetime | None:
        """Return the first moment after another one, as Prefect's server does; None: there is none.

        Both have their zone.
        """
        given = self.schedule.model_dump(include=KEYS, exclude_none=True)
        if "interval" in given:
            given = {"anchor_date": EPOCH, **given}
        rhythm = TypeAdapter[SCHEDULE_TYPES](SCHEDULE_TYPES).validate_python(given)
        moments = asyncio.run(rhythm.get_dates(2, after))  # the first one may be `after` itself
        return next((moment for moment in moments if moment > after), None)


def list_quiet(file: Path) -> list[QuietSchedule]:
    """Return the active schedules in a deployments file of the flows that mostly find nothing.

    Raises:
        ConfigInvalid: the file is wrong.
    """
    return [
        QuietSchedule(
            f"{QUIET[entry.entrypoint]}/{entry.name}",
            str({**entry.parameters, **schedule.parameters}.get("service", "")),
            schedule,
        )
        for entry in read_deployments(file).deployments
        if entry.entrypoint in QUIET
        for schedule in entry.schedules
        if schedule.active
    ]


def is_quiet(deployment: DeploymentResponse) -> bool:
    """Whether it is the deployment of a flow that mostly finds nothing."""
    return deployment.entrypoint in QUIET


def silence(client: SyncPrefectClient, deployment: DeploymentResponse) -> bool:
    """Switch a deployment's schedules off on the server; return whether one was on.

    Its runs that were to come are removed with it.
    """
    on = [item for item in deployment.schedules if item.active]
    for item in on:
        client.update_deployment_schedule(deployment.id, item.id, active=False)
    return bool(on)
