"""The loop of `sluice housekeeping`, which looks on the schedules of `watch` and `keeper`."""

import logging
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.errors import ConfigInvalid

if TYPE_CHECKING:
    from tasks.deploy.schedules import QuietSchedule

POLL_SECONDS = 1.0
FORMAT = "%(asctime)s %(levelname)s %(message)s"
log = logging.getLogger("sluice.housekeeping")


class Timetable:
    """When to look next, on the schedules of a deployments file; a changed file counts at once."""

    def __init__(self, file: Path) -> None:
        self._file, self._changed = file, 0.0
        self._next: list[tuple[QuietSchedule, datetime | None]] = []

    def take_due(self, now: datetime) -> "list[QuietSchedule]":
        """Return the schedules that became due since the last call; each once, however late."""
        self._read(now)
        due = [item for item, moment in self._next if moment and moment <= now]
        if due:
            self._next = [
                (item, item.find_next(now) if item in due else moment)
                for item, moment in self._next
            ]
        return due

    def _read(self, now: datetime) -> None:
        from tasks.deploy.schedules import list_quiet

        try:
            changed = self._file.stat().st_mtime
            if changed == self._changed:
                return
            self._changed = changed
            self._next = [(item, item.find_next(now)) for item in list_quiet(self._file)]
        except (OSError, ConfigInvalid) as error:
            log.warning("the schedules stay as they were: %s", error)


def keep_house(file: Path) -> None:
    """Look on the schedules of the file, until a signal ends it."""
    from prefect.events.worker import EventsWorker

    from sluice.adapters.server.background import ShutdownSignals
    from sluice.adapters.telemetry.log_output import start_json_log
    from tasks.rollout.housekeeping import Housekeeper

    if not start_json_log("housekeeping", logging.WARNING):
        logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format=FORMAT)
    log.setLevel(logging.INFO)
    keeper, timetable = Housekeeper(log), Timetable(file)
    with ShutdownSignals():
        try:
            while True:
                for item in timetable.take_due(datetime.now(UTC)):
                    keeper.look(item.deployment, item.service)
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            EventsWorker.drain_all(timeout=POLL_SECONDS)
