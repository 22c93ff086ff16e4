"""The cause of a release: a data version under a configuration is answered by one release."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from prefect import get_run_logger
from prefect.runtime import flow_run

from sluice.adapters.control.causes import Causes
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.tables.delta import latest_version
from sluice.config.loading import hash_service
from sluice.config.service import ServiceConfig
from sluice.control.cause import DATA_CHANGED, Claim, name_data_cause
from sluice.control.lease import Lease
from sluice.errors import GateFailed, SluiceError
from sluice.home import find_home
from tasks.release.registration import adopt_version
from tasks.run.decorators import effect
from tasks.run.forms import LATEST
from tasks.run.leases import prepare_control


@contextmanager
def answer_cause(
    config: ServiceConfig, lease: Lease, data_version: int, cause: str
) -> Iterator[str]:
    """Give who answered the cause before; empty where this run is the one to do so.

    Whatever its cause, a release that registered or that a gate halted has answered for its data
    version and configuration; after anything else (a fault, a refusal, a kill) it stays open. Only
    a release with the cause `data.changed`, or one that has registered already, finds nothing to
    do.

    Raises:
        DataMissing: the service has no data.
        LeaseLost: another run has the lease.
        Fault: the table, the registry or the control store cannot be reached.
    """
    claim = claim_data(config, lease, data_version, cause)
    if claim.is_settled and (cause == DATA_CHANGED or claim.belongs_to(str(flow_run.id))):
        yield f"{claim.key}: answered by flow run {claim.flow_run}: {claim.outcome}"
        return
    try:
        yield ""
    except GateFailed as error:
        _settle(lease, claim, f"was halted by {type(error).__name__}")
        raise
    _settle(lease, claim, "registered it")


@effect
def claim_data(config: ServiceConfig, lease: Lease, data_version: int, cause: str) -> Claim:
    """Claim a data version under a configuration for this run; give who answers it.

    A run that died between registering and settling has answered: its registration is finished
    and its claim settled. So has this very run, where it is executed a second time.

    Raises:
        DataMissing: the service has no data.
        LeaseLost: another run has the lease.
        Fault: the table, the registry or the control store cannot be reached.
    """
    service, me = config.service, str(flow_run.id)
    table, causes = find_home().table(service), prepare_control().causes
    version = latest_version(table, service) if data_version == LATEST else data_version
    key = name_data_cause(version, hash_service(config))
    found = causes.find(service, DATA_CHANGED, key)
    if found and cause == DATA_CHANGED and found.is_settled and not found.belongs_to(me):
        return found
    own = open_registry(find_home()).find_registered(service, me)
    if own:
        return _settle_own(causes, lease, own)
    left = _settle_left(causes, lease, found) if found and not found.is_settled else None
    if left and cause == DATA_CHANGED:
        return left
    return causes.claim(lease, DATA_CHANGED, key, me)


def _settle_own(causes: Causes, lease: Lease, version: ModelVersionRef) -> Claim:
    """Finish what this very run registered when it was executed before, and settle its claim."""
    me = str(flow_run.id)
    key = name_data_cause(version.data_version, version.tags["sluice.config.hash"])
    outcome = f"registered v{adopt_version(version).version}"
    claim = causes.claim(lease, DATA_CHANGED, key, me)
    if claim.belongs_to(me):
        return causes.finish(lease, claim, outcome)
    return replace(claim, flow_run=me, outcome=outcome)


def _settle_left(causes: Causes, lease: Lease, claim: Claim) -> Claim | None:
    """Finish what the run of an open claim registered before it died, and settle its claim.

    None where it registered nothing.
    """
    left = open_registry(find_home()).find_registered(claim.service, claim.flow_run)
    if left is None:
        return None
    get_run_logger().warning(
        "flow run %s had registered v%d before it died", claim.flow_run, left.version
    )
    return causes.finish(lease, claim, f"registered v{adopt_version(left).version}")


def _settle(lease: Lease, claim: Claim, outcome: str) -> None:
    """Settle this run's claim; where that fails the release has still ended as it did."""
    if not claim.belongs_to(str(flow_run.id)):
        return
    try:
        prepare_control().causes.finish(lease, claim, outcome)
    except SluiceError as error:
        get_run_logger().warning("the cause %s stays open: %s", claim.key, error)
