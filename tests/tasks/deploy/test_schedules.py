"""When the local stack looks: as the server would start a run on the same schedule."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sluice.config.deployments import Schedule
from sluice.home import PROJECT
from tasks.deploy.schedules import QuietSchedule, list_quiet

AT = datetime(2026, 3, 28, 12, 3, 30, tzinfo=UTC)


def find_next(after: datetime = AT, **schedule: Any) -> datetime | None:
    return QuietSchedule("keeper/keeper", "", Schedule(**schedule)).find_next(after)


@pytest.mark.parametrize(
    ("schedule", "moment"),
    [
        ({"cron": "*/2 * * * *"}, datetime(2026, 3, 28, 12, 4, tzinfo=UTC)),
        ({"cron": "*/5 * * * *", "timezone": "UTC"}, datetime(2026, 3, 28, 12, 5, tzinfo=UTC)),
        # Summer time begins on the 29th: 7:00 in London is 6:00 UTC.
        (
            {"cron": "0 7 * * 0", "timezone": "Europe/London"},
            datetime(2026, 3, 29, 6, tzinfo=UTC),
        ),
        ({"interval": 90.0}, datetime(2026, 3, 28, 12, 4, 30, tzinfo=UTC)),
        (
            {"interval": 3600.0, "anchor_date": "2026-03-01T00:20:00Z"},
            datetime(2026, 3, 28, 12, 20, tzinfo=UTC),
        ),
        (
            {"rrule": "DTSTART:20260101T000000Z\nRRULE:FREQ=HOURLY;INTERVAL=1"},
            datetime(2026, 3, 28, 13, tzinfo=UTC),
        ),
        ({"rrule": "DTSTART:20200101T000000Z\nRRULE:FREQ=DAILY;COUNT=2"}, None),
    ],
)
def test_next_moment_is_the_servers(schedule: dict[str, Any], moment: datetime | None) -> None:
    assert find_next(**schedule) == moment


def test_the_moment_itself_is_not_the_next_one() -> None:
    moment = datetime(2026, 3, 28, 12, 4, tzinfo=UTC)
    assert find_next(moment, cron="*/2 * * * *") == moment + timedelta(minutes=2)


def test_the_shipped_file_has_one_of_each_quiet_flow() -> None:
    found = list_quiet(PROJECT / "deployments.yaml")
    assert [(item.deployment, item.service) for item in found] == [
        ("watch/watch", ""),
        ("keeper/keeper", ""),
        ("monitor/monitor", ""),
    ]


def test_what_is_switched_off_in_the_file_or_is_another_flow_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "deployments.yaml"
    file.write_text(
        """
deployments:
  - name: mine
    entrypoint: flows.watch.watch
    work_pool: {name: sluice}
    tags: [sluice]
    parameters: {service: employment}
    schedules:
      - {slug: a, cron: "* * * * *"}
      - {slug: b, cron: "* * * * *", active: false}
      - {slug: c, interval: 60.0, parameters: {service: all}}
  - name: ingest
    entrypoint: flows.ingest.ingest
    work_pool: {name: sluice}
    tags: [sluice]
    schedules:
      - {slug: d, cron: "* * * * *"}
""",
        encoding="utf-8",
    )
    found = [(item.deployment, item.service, item.schedule.slug) for item in list_quiet(file)]
    assert found == [("watch/mine", "employment", "a"), ("watch/mine", "all", "c")]
