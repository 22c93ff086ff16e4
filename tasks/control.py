"""The control store's part in a release: one at a time a service, one for a change of data."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.runtime import flow_run

from sluice.adapters.control.store import Control, open_control
from sluice.adapters.tables.delta import latest_version
from sluice.config.service import ServiceConfig
from sluice.control.cause import DATA_CHANGED, Claim, cause_key
from sluice.control.lease import Lease, LeaseWatch
from sluice.errors import GateFailed, ServiceBusy, SluiceError
from sluice.home import find_home
from tasks.decorators import effect
from tasks.release import LATEST
from tasks.renewal import keep_lease

RELEASE = "release"
TTL_SECONDS = 15.0
PATIENCE_SECONDS = 1800.0
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
def hold_release(service: str) -> Iterator[Lease]:
    """Be the only release of a service while the block runs; wait for one that is under way.

    Raises:
        ServiceBusy: the other did not end in time.
        Fault: the control store cannot be reached.
    """
    # The last part tells attempts apart that the orchestrator starts under one run's name.
    holder = f"{flow_run.name} (flow run {flow_run.id}, {uuid.uuid4().hex[:8]})"
    lease = await_lease(service, RELEASE, holder)
    with keep_lease(prepare_control(), lease, get_run_logger()):
        yield lease


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


@effect
def confirm_lease(lease: Lease) -> None:
    """Make sure that nobody took the lease meanwhile; the last step before something is kept.

    Raises:
        LeaseLost: another run has it.
        Fault: the control store cannot be reached.
    """
    prepare_control().leases.renew(lease)


@contextmanager
def answer_cause(
    config: ServiceConfig, lease: Lease, data_version: int, cause: str
) -> Iterator[str]:
    """Give who answered the cause before; empty where this run is the one to do so.

    Only a change of data is answered once. A release that registered or that a gate halted settles
    it; after anything else (a fault, a refusal, a kill) the next run with that cause takes it up.

    Raises:
        DataMissing: the service has no data.
        LeaseLost: another run has the lease.
        Fault: the table or the control store cannot be reached.
    """
    claim = claim_data_change(config, lease, data_version) if cause == DATA_CHANGED else None
    if claim is None:
        yield ""
        return
    if not claim.belongs_to(str(flow_run.id)):
        yield f"{claim.key}: flow run {claim.flow_run} {claim.outcome or 'is at it'}"
        return
    try:
        yield ""
    except GateFailed as error:
        _settle(lease, claim, f"was halted by {type(error).__name__}")
        raise
    _settle(lease, claim, "registered it")


@effect
def claim_data_change(config: ServiceConfig, lease: Lease, data_version: int) -> Claim:
    """Claim a data version under a configuration for this run; give who answers it.

    Raises:
        DataMissing: the service has no data.
        LeaseLost: another run has the lease.
        Fault: the table or the control store cannot be reached.
    """
    table = find_home().table(config.service)
    version = latest_version(table, config.service) if data_version == LATEST else data_version
    key = cause_key(config, version)
    return prepare_control().causes.claim(lease, DATA_CHANGED, key, str(flow_run.id))


def _settle(lease: Lease, claim: Claim, outcome: str) -> None:
    """Settle the claim; where that fails the release has still ended as it did."""
    try:
        prepare_control().causes.finish(lease, claim, outcome)
    except SluiceError as error:
        get_run_logger().warning("the cause %s stays open: %s", claim.key, error)
