"""The right to control a service's rollout, and the route that lives only while it is used."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prefect import get_run_logger
from prefect.runtime import flow_run

from sluice.adapters.control.rollouts import CONTROLLER
from sluice.adapters.control.store import Control
from sluice.config.rollout import RolloutConfig
from sluice.control.lease import Lease, LeaseWatch
from sluice.errors import SluiceError
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import UNSEEN
from tasks.run.leases import POLL_SECONDS, SHARE, Log, Renewal, await_lease, prepare_control

PATIENCE_SECONDS = 14 * 86400.0
"""How long a second rollout of a service waits for the first one's end."""
LEAST_PATIENCE = 10.0
"""Seconds without a tick that are always borne before the route is renewed no more."""


class RouteRenewal(Renewal):
    """Renews the controller's lease and the route, the latter only while ticks are written.

    A controller that hangs in the middle of a tick tests nothing: then only its lease lives on,
    the route lapses, and the champion serves alone.
    """

    def __init__(self, control: Control, lease: Lease, log: Log, ttl: float) -> None:
        super().__init__(control, lease, log)
        self._pause = min(lease.ttl, ttl) / SHARE
        self._guard = threading.Lock()
        self._course: RolloutRecord | None = None
        self._written = 0.0

    def touch(self, course: RolloutRecord) -> None:
        """Take note of a tick that was written."""
        with self._guard:
            self._course, self._written = course, time.monotonic()

    def renew(self) -> None:
        """Renew once.

        Raises:
            LeaseLost: another run has taken the lease.
        """
        with self._guard:
            course, written = self._course, self._written
        if course is None:
            super().renew()
            return
        patience = max(LEAST_PATIENCE, (UNSEEN + 1) * course.policy.block)
        fresh = time.monotonic() - written < patience
        self._control.rollouts.renew(self._lease, course, routed=fresh and course.state.renews)


@dataclass(frozen=True)
class ControllerLease:
    """A service's rollout in the hands of this run."""

    control: Control
    lease: Lease
    renewal: RouteRenewal


@contextmanager
def hold_controller(
    service: str, config: RolloutConfig, patience: float = PATIENCE_SECONDS
) -> Iterator[ControllerLease]:
    """Be the only controller of a service's rollout while the block runs; wait for another's end.

    Raises:
        ServiceBusy: the other did not end in time.
        LeaseLost: another run took the lease while the block ran.
        Fault: the control store cannot be reached.
    """
    holder = f"{flow_run.name} (flow run {flow_run.id}, {uuid.uuid4().hex[:8]})"
    lease = await_lease(service, CONTROLLER, holder, patience)
    control, log = prepare_control(), get_run_logger()
    renewal = RouteRenewal(control, lease, log, config.route.lease_ttl)
    renewal.start()
    try:
        yield ControllerLease(control, lease, renewal)
    finally:
        renewal.end()
        try:
            control.leases.release(lease)
        except SluiceError as error:
            log.warning("the lease lapses by itself in %.0f s: %s", lease.ttl, error)


def is_controlled(control: Control, service: str) -> bool:
    """Whether somebody renews the lease of a service's rollout; watched for its ttl at most.

    Raises:
        Fault: the control store cannot be reached.
    """
    watch, first = LeaseWatch(), control.leases.find(service, CONTROLLER)
    lease = first
    while not watch.has_lapsed(lease, time.monotonic()):
        if lease != first:
            return True
        time.sleep(POLL_SECONDS)
        lease = control.leases.find(service, CONTROLLER)
    return False
