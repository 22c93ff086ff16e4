"""The cause of a release: one release handles a data version under a configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from prefect import get_run_logger
from prefect.runtime import flow_run

from sluice.adapters.control.causes import Causes
from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.tables.delta import latest_version
from sluice.config.loading import hash_service
from sluice.config.service import ServiceConfig
from sluice.control.cause import DATA_CHANGED, Claim, is_automatic, name_data_cause
from sluice.control.lease import Lease
from sluice.errors import GateFailed
from sluice.home import find_home
from tasks.release.registration import complete_registration
from tasks.run.claims import settle_claim
from tasks.run.decorators import effect
from tasks.run.forms import LATEST


@contextmanager
def handle_cause(
    config: ServiceConfig, lease: Lease, data_version: int, cause: str
) -> Iterator[str]:
    """Yield which run handled the cause before; empty where this run has to handle it.

    A release that registered, or that a gate halted, has handled its data version and
    configuration, whatever its cause. After an infrastructure error, a refusal or a kill the claim
    stays open. Only a release with the cause `data.changed` or of a retraining, or one that has
    registered already, has nothing to do.

    Raises:
        DataMissing: the service has no data.
        LeaseLost: another run has the lease.
        Fault: the table, the registry or the control store cannot be reached.
    """
    claim = claim_data(config, lease, data_version, cause)
    if claim.is_settled and (is_automatic(cause) or claim.belongs_to(str(flow_run.id))):
        yield f"{claim.key}: handled by flow run {claim.flow_run}: {claim.outcome}"
        return
    try:
        yield ""
    except GateFailed as error:
        settle_claim(lease, claim, f"was halted by {type(error).__name__}")
        raise
    settle_claim(lease, claim, "registered it")


@effect
def claim_data(config: ServiceConfig, lease: Lease, data_version: int, cause: str) -> Claim:
    """Claim a data version under a configuration for this run; return the claim that counts.

    A run that died after registering, or this run if it is executed a second time, has handled
    the cause: its registration is completed and its claim is settled.

    Raises:
        DataMissing: the service has no data.
        LeaseLost: another run has the lease.
        Fault: the table, the registry or the control store cannot be reached.
    """
    service, this_run = config.service, str(flow_run.id)
    table, causes = find_home().table(service), prepare_control().causes
    version = latest_version(table, service) if data_version == LATEST else data_version
    key = name_data_cause(version, hash_service(config))
    found = causes.find(service, DATA_CHANGED, key)
    if found and is_automatic(cause) and found.is_settled and not found.belongs_to(this_run):
        return found
    own = open_registry(find_home()).find_registered(service, this_run)
    if own:
        return _settle_own(causes, lease, own)
    left = _settle_left(causes, lease, found) if found and not found.is_settled else None
    if left and is_automatic(cause):
        return left
    return causes.claim(lease, DATA_CHANGED, key, this_run)


def _settle_own(causes: Causes, lease: Lease, version: ModelVersionRef) -> Claim:
    """Complete what this run registered when it was executed before, and settle its claim."""
    this_run = str(flow_run.id)
    key = name_data_cause(version.data_version, version.tags["sluice.config.hash"])
    outcome = f"registered v{complete_registration(version).version}"
    claim = causes.claim(lease, DATA_CHANGED, key, this_run)
    if claim.belongs_to(this_run):
        return causes.finish(lease, claim, outcome)
    return replace(claim, flow_run=this_run, outcome=outcome)


def _settle_left(causes: Causes, lease: Lease, claim: Claim) -> Claim | None:
    """Complete what the run of an open claim registered before it died, and settle its claim.

    None where it registered nothing.
    """
    left = open_registry(find_home()).find_registered(claim.service, claim.flow_run)
    if left is None:
        return None
    get_run_logger().warning(
        "flow run %s had registered v%d before it died", claim.flow_run, left.version
    )
    return causes.finish(lease, claim, f"registered v{complete_registration(left).version}")
