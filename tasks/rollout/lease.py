"""The lease of a rollout's controller, and the renewal of the route while ticks are written."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sluice.adapters.control.rollouts import CONTROLLER
from sluice.adapters.control.store import Control
from sluice.config.rollout import RolloutConfig
from sluice.control.lease import Lease
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import MAX_MISSED_TICKS
from tasks.run.leases import SHARE, HeldLease, Log, Renewal, hold_lease, is_renewed

PATIENCE_SECONDS = 14 * 86400.0
"""Seconds that a second rollout of a service waits for the end of the first."""
LEAST_PATIENCE = 10.0
"""Least seconds without a tick before the route is no longer renewed."""


class RouteRenewal(Renewal):
    """Renews the controller's lease, and the route only while ticks are written.

    A controller that hangs within a tick tests nothing: its lease is still renewed, but the route
    lapses, and the champion serves alone.
    """

    def __init__(self, control: Control, lease: Lease, log: Log, ttl: float) -> None:
        super().__init__(control, lease, log)
        self._pause = min(lease.ttl, ttl) / SHARE
        self._guard = threading.Lock()
        self._rollout: RolloutRecord | None = None
        self._written = 0.0

    def touch(self, rollout: RolloutRecord) -> None:
        """Note that a tick was written."""
        with self._guard:
            self._rollout, self._written = rollout, time.monotonic()

    def renew(self) -> None:
        """Renew once.

        Raises:
            LeaseLost: another run has taken the lease.
        """
        with self._guard:
            rollout, written = self._rollout, self._written
        if rollout is None:
            super().renew()
            return
        patience = max(LEAST_PATIENCE, (MAX_MISSED_TICKS + 1) * rollout.policy.block)
        fresh = time.monotonic() - written < patience
        self._control.rollouts.renew(self._lease, rollout, routed=fresh and rollout.state.renews)


ControllerLease = HeldLease[RouteRenewal]
"""This run's lease on a service's rollout."""


@contextmanager
def hold_controller(
    service: str, config: RolloutConfig, patience: float = PATIENCE_SECONDS
) -> Iterator[ControllerLease]:
    """Hold the controller's lease while the block runs; wait if another controller has it.

    Raises:
        ServiceBusy: the other controller did not end in time.
        LeaseLost: another run took the lease while the block ran.
        Fault: the control store cannot be reached.
    """

    def renew(control: Control, lease: Lease, log: Log) -> RouteRenewal:
        return RouteRenewal(control, lease, log, config.route.lease_ttl)

    with hold_lease(service, CONTROLLER, patience, renew) as held:
        yield held


def is_controlled(control: Control, service: str) -> bool:
    """Whether a controller renews the lease of a service's rollout; watches for its ttl at most.

    Raises:
        Fault: the control store cannot be reached.
    """
    return is_renewed(control, service, CONTROLLER)
