"""Leases in a run: how one is kept, and a release's."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prefect import get_run_logger
from prefect.runtime import flow_run

from sluice.adapters.control.store import Control, prepare_control
from sluice.control.lease import Lease, LeaseWatch
from sluice.errors import LeaseLost, ServiceBusy, SluiceError
from tasks.run.decorators import effect

SHARE = 3
"""A lease is renewed at a third of its time to live, so that two renewals may fail."""
AGAIN_SECONDS = 1.0

Log = logging.Logger | logging.LoggerAdapter[Any]


class Renewal(threading.Thread):
    """A thread that renews one lease until it is ended or another run has taken the lease."""

    def __init__(self, control: Control, lease: Lease, log: Log) -> None:
        super().__init__(name=f"renewal of {lease.purpose} {lease.service}", daemon=True)
        self._control, self._lease, self._log = control, lease, log
        self._pause = lease.ttl / SHARE
        self._ended = threading.Event()

    def run(self) -> None:
        """Renew at a third of the lease's time to live; log each renewal that failed."""
        pause = self._pause
        while not self._ended.wait(pause):
            try:
                self.renew()
                pause = self._pause
            except LeaseLost as error:
                self._log.error("%s; this run changes nothing more", error)
                return
            except SluiceError as error:
                self._log.warning("the lease was not renewed: %s", error)
                pause = min(AGAIN_SECONDS, self._pause)

    def renew(self) -> None:
        """Renew once.

        Raises:
            LeaseLost: another run has taken the lease.
        """
        self._control.leases.renew(self._lease)

    def end(self) -> None:
        """Stop renewing; the lease is no longer touched when this returns."""
        self._ended.set()
        self.join()


RenewalThread = TypeVar("RenewalThread", bound=Renewal)


@dataclass(frozen=True)
class HeldLease(Generic[RenewalThread]):
    """This run's lease, and the thread that renews it."""

    control: Control
    lease: Lease
    renewal: RenewalThread


@contextmanager
def keep_lease(control: Control, lease: Lease, log: Log) -> Iterator[Lease]:
    """Renew a lease while the block runs, and release it at its end.

    If that fails, the lease lapses by itself.
    """
    with keep_renewing(HeldLease(control, lease, Renewal(control, lease, log)), log):
        yield lease


@contextmanager
def keep_renewing(held: HeldLease[RenewalThread], log: Log) -> Iterator[HeldLease[RenewalThread]]:
    """Let the thread renew while the block runs, and release the lease at its end."""
    held.renewal.start()
    try:
        yield held
    finally:
        held.renewal.end()
        try:
            held.control.leases.release(held.lease)
        except SluiceError as error:
            log.warning("the lease lapses by itself in %.0f s: %s", held.lease.ttl, error)


@contextmanager
def hold_lease(
    service: str,
    purpose: str,
    patience: float,
    make: Callable[[Control, Lease, Log], RenewalThread],
) -> Iterator[HeldLease[RenewalThread]]:
    """Hold a lease while the block runs; wait `patience` seconds if another run has it.

    `make` returns the thread that renews it.

    Raises:
        ServiceBusy: the other did not end in time.
        Fault: the control store cannot be reached.
    """
    lease = await_lease(service, purpose, name_holder(), patience)
    control, log = prepare_control(), get_run_logger()
    with keep_renewing(HeldLease(control, lease, make(control, lease, log)), log) as held:
        yield held


def name_holder() -> str:
    """Return a name of this attempt of this run, as the holder of a lease."""
    # The last part distinguishes attempts that the orchestrator starts under one run's name.
    return f"{flow_run.name} (flow run {flow_run.id}, {uuid.uuid4().hex[:8]})"


RELEASE = "release"
TTL_SECONDS = 15.0
PATIENCE_SECONDS = 1800.0
PROMOTE_SECONDS = 60.0
"""A promotion waits less: the person who asked for it saw the present candidate."""
POLL_SECONDS, PROGRESS_SECONDS = 0.5, 10.0


@contextmanager
def hold_release(service: str, patience: float = PATIENCE_SECONDS) -> Iterator[Lease]:
    """Hold a service's release lease while the block runs; wait if another release has it.

    A run that resumes after its lease was taken over can fail on anything, since its successor
    removed its files: any error is then reported as the lost lease that caused it.

    Raises:
        ServiceBusy: the other did not end in time.
        LeaseLost: another run took the lease while the block ran.
        Fault: the control store cannot be reached.
    """
    lease = await_lease(service, RELEASE, name_holder(), patience)
    control = prepare_control()
    with keep_lease(control, lease, get_run_logger()):
        try:
            yield lease
        except Exception as error:
            _raise_if_lost(control, lease, error)
            raise


@effect
def await_lease(
    service: str, purpose: str, holder: str, patience: float = PATIENCE_SECONDS
) -> Lease:
    """Wait for a lease, at most `patience` seconds; take over one that is not renewed in time.

    Raises:
        ServiceBusy: its holder is alive and did not end in time.
        Fault: the control store cannot be reached.
    """
    log, leases = get_run_logger(), prepare_control().leases
    watch, began, logged = LeaseWatch(), time.monotonic(), 0.0
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
        if not logged or now - logged >= PROGRESS_SECONDS:
            logged = now
            log.info(
                "waiting for %s, %.0f s so far, at most %.0f", lease.holder, now - began, patience
            )
        time.sleep(POLL_SECONDS)


def is_renewed(control: Control, service: str, purpose: str) -> bool:
    """Whether somebody renews a lease of a service; watches for its ttl at most.

    Raises:
        Fault: the control store cannot be reached.
    """
    watch, first = LeaseWatch(), control.leases.find(service, purpose)
    lease = first
    while not watch.has_lapsed(lease, time.monotonic()):
        if lease != first:
            return True
        time.sleep(POLL_SECONDS)
        lease = control.leases.find(service, purpose)
    return False


def _raise_if_lost(control: Control, lease: Lease, error: Exception) -> None:
    """Raise `LeaseLost` from an error if the lease was lost; return if it was not."""
    if isinstance(error, LeaseLost):
        return
    try:
        control.leases.renew(lease)
    except LeaseLost as lost:
        raise lost from error
    except SluiceError:  # the store is away: only the error itself is known
        return
