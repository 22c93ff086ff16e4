"""The units of an experiment, from the traffic log."""

from datetime import datetime

from sluice.adapters.traffic.experiments import TrafficPlace, read_requests
from sluice.config.experiments.experiment import ExperimentConfig
from sluice.errors import DataMissing
from sluice.experiments.comparison import Look
from sluice.experiments.record import ExperimentRecord
from sluice.experiments.requests import ExperimentRequests, ExperimentUnits, build_units
from sluice.home import find_home


class UnitCollector:
    """Collects one experiment's units; what was before its start is read once."""

    def __init__(self, record: ExperimentRecord) -> None:
        self._record = record
        self._place = find_place(record.service)
        self._before: ExperimentRequests | None = None

    def collect(self, now: datetime) -> tuple[ExperimentUnits, Look]:
        """Return the units by now, or by the experiment's end, and the terms of that look.

        Raises:
            DataMissing: it was not started, or nothing was logged since.
            DataUnavailable: the traffic log cannot be reached.
        """
        record = self._record
        if record.started is None:
            raise DataMissing(f"{record.name}: run {record.number} has no traffic before its start")
        start, as_of = record.started.timestamp(), record.as_of(now)
        found = read_requests(self._place, record.config, (start, as_of), record.epoch)
        if not len(found.names):
            raise DataMissing(
                f"{record.name}: found no request of run {record.number} in the traffic log of "
                f"{record.service}; next: see that callers ask, and that the log-writer runs"
            )
        cuped = record.config.cuped
        if cuped and self._before is None:
            self._before = read_requests(self._place, record.config, (start - cuped, start))
        units = build_units(found, record.config, as_of, self._before)
        return units, Look(as_of, start, record.plan.units, record.plan.effect)


def read_history(config: ExperimentConfig, now: datetime) -> ExperimentRequests:
    """Return a service's past traffic, from which an experiment is planned.

    Raises:
        DataUnavailable: the traffic log cannot be reached.
    """
    end = now.timestamp()
    return read_requests(find_place(config.service), config, (end - config.history, end))


def find_place(service: str) -> TrafficPlace:
    """Return where a service's answers and all feedback are logged."""
    home = find_home()
    return TrafficPlace(service, home.answers(service), home.feedback)
