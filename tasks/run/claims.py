"""The end of a cause: its claim is settled once its run ended with an answer."""

from prefect import get_run_logger
from prefect.runtime import flow_run

from sluice.adapters.control.store import prepare_control
from sluice.control.cause import Claim
from sluice.control.lease import Lease
from sluice.errors import SluiceError


def settle_claim(lease: Lease, claim: Claim, outcome: str) -> None:
    """Settle this run's claim; an error does not change the release's result."""
    if not claim.belongs_to(str(flow_run.id)):
        return
    try:
        prepare_control().causes.finish(lease, claim, outcome)
    except SluiceError as error:
        get_run_logger().warning("the cause %s stays open: %s", claim.key, error)
