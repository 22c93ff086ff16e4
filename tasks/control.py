"""The control store's part in a release: one at a time a service."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.runtime import flow_run

from sluice.adapters.control.store import Control, open_control
from sluice.control.lease import Lease, LeaseWatch
from sluice.errors import LeaseLost, ServiceBusy, SluiceError
from sluice.home import find_home
from tasks.decorators import effect
from tasks.renewal import keep_lease

RELEASE = "release"
TTL_SECONDS = 15.0
PATIENCE_SECONDS = 1800.0
PROMOTE_SECONDS = 60.0
"""A promotion waits less: who asked for it saw the candidate that is there now."""
POLL_SECONDS, PROGRESS_SECONDS = 0.5, 10.0


def prepare_control() -> Control:
    """Open the control store and bring its schema up to date.

    Raises:
        ControlUnusable: its address is wrong, or its schema is newer than this code.
        Fault: the store cannot be reached.
    """
    control = open_control(find_home())
    control.prepare()
    return control


@contextmanager
def hold_release(service: str, patience: float = PATIENCE_SECONDS) -> Iterator[Lease]:
    """Be the only release of a service while the block runs; wait for one that is under way.

    A run that comes back after it was taken over can break on anything, since its successor
    cleared away behind it: whatever stops it is told as the lost lease that it comes from.

    Raises:
        ServiceBusy: the other did not end in time.
        LeaseLost: another run took the lease while the block ran.
        Fault: the control store cannot be reached.
    """
    # The last part tells attempts apart that the orchestrator starts under one run's name.
    holder = f"{flow_run.name} (flow run {flow_run.id}, {uuid.uuid4().hex[:8]})"
    lease = await_lease(service, RELEASE, holder, patience)
    control = prepare_control()
    with keep_lease(control, lease, get_run_logger()):
        try:
            yield lease
        except Exception as error:
            _name_loss(control, lease, error)
            raise


@effect
def await_lease(
    service: str, purpose: str, holder: str, patience: float = PATIENCE_SECONDS
) -> Lease:
    """Wait for a lease, at most `patience` seconds; one that stood still too long is taken over.

    Raises:
        ServiceBusy: its holder is alive and did not end in time.
        Fault: the control store cannot be reached.
    """
    log, leases = get_run_logger(), prepare_control().leases
    watch, began, told = LeaseWatch(), time.monotonic(), 0.0
    while True:
        lease = leases.acquire(service, purpose, holder, TTL_SECONDS)
        now = time.monotonic()
        if lease.holder == holder:
            return lease
        if watch.has_lapsed(lease, now):
            taken = leases.take(lease, holder, TTL_SECONDS)
            if taken:
                log.warning("%s was not renewed for %.0f s: taken over", lease.holder, lease.ttl)
                return taken
        if now - began > patience:
            raise ServiceBusy(
                f"{service}: {lease.holder} still runs after {patience:.0f} s of waiting; "
                "next: wait until it ends, or cancel it"
            )
        if not told or now - told >= PROGRESS_SECONDS:
            told = now
            log.info(
                "waiting for %s, %.0f s so far, at most %.0f", lease.holder, now - began, patience
            )
        time.sleep(POLL_SECONDS)


def _name_loss(control: Control, lease: Lease, error: Exception) -> None:
    """Raise what lies behind an error: that the lease was lost; nothing where it was not."""
    if isinstance(error, LeaseLost):
        return
    try:
        control.leases.renew(lease)
    except LeaseLost as lost:
        raise lost from error
    except SluiceError:  # the store is away: the error itself is all that is known
        return
