"""What starts a release, such as version 2 of a service's data; the same cause starts one only.

A run claims its cause under the lease that it holds. While that lease lives so does the claim;
after it, a claim that nobody settled may be taken over by the next holder.
"""

from dataclasses import dataclass

from sluice.control.lease import Lease

OPEN = ""
DATA_CHANGED = "data.changed"
"""The kind of cause of which a second release has nothing to do."""


@dataclass(frozen=True)
class Claim:
    """Who answers a cause: the run, the lease that it works under, and how it settled.

    `outcome` is empty until then.
    """

    service: str
    kind: str
    key: str
    flow_run: str
    purpose: str
    lease_epoch: int
    outcome: str = OPEN

    @property
    def is_settled(self) -> bool:
        """Whether its run came to an end that another try would not change."""
        return self.outcome != OPEN

    def belongs_to(self, flow_run: str) -> bool:
        """Whether this run is the one that answers the cause."""
        return self.flow_run == flow_run

    def may_pass_to(self, flow_run: str, lease: Lease) -> bool:
        """Whether this run takes the claim: it is its own, or its run is gone and left it open.

        `lease` is the one that the claim was made under, as it stands now.
        """
        alive = lease.epoch == self.lease_epoch and not lease.is_free
        return self.belongs_to(flow_run) or not (self.is_settled or alive)


def name_data_cause(data_version: int, config_hash: str) -> str:
    """Name a data version under a configuration, whose hash is hexadecimal; 12 digits tell it."""
    return f"data v{data_version}, configuration {config_hash[:12]}"
