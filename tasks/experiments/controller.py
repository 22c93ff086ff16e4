"""The controller of an experiment's traffic: it renews the route, checks, and ends it in time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect import get_run_logger

from sluice.adapters.control.store import Control
from sluice.control.lease import Lease
from sluice.errors import (
    DataMissing,
    ExperimentRefused,
    Fault,
    GuardrailBroken,
    SplitBroken,
)
from sluice.experiments.analysis import check_running
from sluice.experiments.record import ExperimentPhase, ExperimentRecord
from tasks.experiments.actions import ExperimentResult, describe_event, wrap_result
from tasks.experiments.collecting import UnitCollector
from tasks.experiments.publishing import publish_record
from tasks.run.events import publish_event
from tasks.run.leases import SHARE, HeldLease, Log, Renewal, hold_lease, is_renewed

CONTROLLER = "experiment"
"""The purpose of the lease of an experiment's controller."""
PATIENCE_SECONDS = 60.0
"""Longest wait for another controller of the service's experiment."""
ROUTE_TTL = 15.0
"""Seconds without a renewal after which the control serves alone."""
POLL_SECONDS = 0.5


class ExperimentRenewal(Renewal):
    """Renews the controller's lease, and with it the route of the experiment that runs."""

    def __init__(self, control: Control, lease: Lease, log: Log) -> None:
        super().__init__(control, lease, log)
        self._pause = min(lease.ttl, ROUTE_TTL) / SHARE
        self._guard = threading.Lock()
        self._record: ExperimentRecord | None = None

    def touch(self, record: ExperimentRecord | None) -> None:
        """Say which experiment's route is renewed; None: no route."""
        with self._guard:
            self._record = record
        if record is not None:
            self.renew()

    def renew(self) -> None:
        """Renew once.

        Raises:
            LeaseLost: another run has taken the lease.
        """
        with self._guard:
            record = self._record
        if record is None:
            super().renew()
            return
        self._control.experiments.renew(self._lease, record)


ExperimentLease = HeldLease[ExperimentRenewal]
"""This run's lease on a service's experiment."""


@contextmanager
def hold_experiment(service: str) -> Iterator[ExperimentLease]:
    """Hold the controller's lease while the block runs; wait a minute if another has it.

    Raises:
        ServiceBusy: the other controller did not end in time.
        Fault: the control store cannot be reached.
    """
    with hold_lease(service, CONTROLLER, PATIENCE_SECONDS, ExperimentRenewal) as held:
        yield held


def is_controlled(control: Control, service: str) -> bool:
    """Whether a controller renews the lease of a service's experiment; watches its ttl at most.

    Raises:
        Fault: the control store cannot be reached.
    """
    return is_renewed(control, service, CONTROLLER)


def start_traffic(held: ExperimentLease, record: ExperimentRecord, by: str) -> ExperimentRecord:
    """Start the traffic of a prepared experiment: its route, and the event.

    Raises:
        LeaseLost: another holds the lease.
        ExperimentRefused: a rollout or an experiment of the service is under way.
        Fault: the control store cannot be reached.
    """
    now = datetime.now(UTC)
    started = held.control.experiments.start(held.lease, record, ROUTE_TTL, now, by)
    publish_event(started.service, "experiment.started", describe_event(started))
    return started


def run_traffic(held: ExperimentLease, record: ExperimentRecord) -> ExperimentResult:
    """Keep an experiment's traffic until its duration is over, or something ends it.

    Raises:
        SplitBroken: the units were not split as planned.
        GuardrailBroken: a guardrail is proved to be broken.
        LeaseLost: another controller has taken over.
        Fault: the control store cannot be reached at the start.
    """
    held.renewal.touch(record)
    try:
        ended = TrafficController(held, record).run()
    finally:
        held.renewal.touch(None)
    publish_record(ended)
    if ended.phase is ExperimentPhase.ENDED:
        event = "experiment.stopped" if ended.end_reason else "experiment.ended"
        publish_event(ended.service, event, describe_event(ended))
    return wrap_result(ended)


class TrafficController:
    """Looks at one experiment until its traffic is over; each end is written before it is told."""

    def __init__(self, held: ExperimentLease, record: ExperimentRecord) -> None:
        self._control, self._record = held.control, record
        self._collector = UnitCollector(record)
        self._log = get_run_logger()

    def run(self) -> ExperimentRecord:
        """Return the record once the traffic is over.

        Raises:
            SplitBroken: the units were not split as planned.
            GuardrailBroken: a guardrail is proved to be broken.
        """
        due = time.monotonic() + self._record.config.check
        while True:
            try:
                found = self._look()
                if found is not None:
                    return found
                if time.monotonic() >= due:
                    due = time.monotonic() + self._record.config.check
                    self._check()
            except (Fault, DataMissing) as error:
                self._log.warning("not checked: %s", error)
            time.sleep(POLL_SECONDS)

    def _look(self) -> ExperimentRecord | None:
        """Return the record if its traffic is over, which this may find out."""
        now, experiments = datetime.now(UTC), self._control.experiments
        found = experiments.find(self._record.name, self._record.number) or self._record
        if found.phase is not ExperimentPhase.RUNNING:
            return found
        if found.is_due(now):
            return experiments.end(found, "", now)
        route = self._control.routes.find(found.service)
        if route is None or (route.experiment, route.epoch) != (found.key, found.epoch):
            return experiments.end(found, "another process changed the route", now)
        return None

    def _check(self) -> None:
        """Check split and guardrails, which may be looked at at any time; end what is broken."""
        units, look = self._collector.collect(datetime.now(UTC))
        if units.unassigned and not any(units.assigned):
            self._log.warning(
                "%s: none of %d requests belongs to an arm: the gateways have not loaded v%d, or "
                "its breaker is open",
                *(self._record.name, units.unassigned, self._record.treatment),
            )
        ratios, guardrails = check_running(units, self._record.config, look)
        broken = [item.describe() for item in ratios if item.is_broken]
        harmed = [item.describe() for item in guardrails if item.finding == "harmed"]
        if broken:
            self._stop(f"the sample ratio is not the planned one: {'; '.join(broken)}")
            raise SplitBroken(self._say(broken, "find what loses or repeats units"))
        if harmed:
            self._stop(f"a guardrail is broken: {'; '.join(harmed)}")
            raise GuardrailBroken(self._say(harmed, "correct the treatment"))

    def _stop(self, reason: str) -> None:
        record = self._record
        ended = self._control.experiments.end(record, reason, datetime.now(UTC))
        publish_record(ended)
        publish_event(record.service, "experiment.stopped", describe_event(ended))

    def _say(self, facts: list[str], advice: str) -> str:
        return (
            f"{'; '.join(facts)}; {self._record.service} v{self._record.control} serves alone "
            f"again; next: {advice}, then `sluice experiment decide {self._record.name} iterate "
            "--by NAME --reason WORDS`"
        )


def find_running(control: Control, name: str) -> ExperimentRecord:
    """Return an experiment that runs, so that its traffic can be continued.

    Raises:
        ExperimentRefused: it does not run.
        Fault: the control store cannot be reached.
    """
    record = control.experiments.find(name)
    if record is None or record.phase is not ExperimentPhase.RUNNING:
        phase = f"it is {record.phase}" if record else "it was not planned"
        raise ExperimentRefused(f"{name}: nothing to continue: {phase}")
    return record
