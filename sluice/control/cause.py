"""The cause of a release, such as version 2 of a service's data; each cause starts one release.

A run claims its cause under the lease that it holds, and the claim lives as long as that lease.
After that, the next holder may take over a claim that is not settled.
"""

from dataclasses import dataclass

from sluice.control.lease import Lease

OPEN = ""
DATA_CHANGED = "data.changed"
"""The kind of cause: a change of data."""
PROMPT_CHANGED = "prompt.changed"
"""The kind of cause: a change of a prompt's wished version, of its cases, or of its limits."""


def is_automatic(cause: str) -> bool:
    """Whether a cause asks for nothing where a release has handled what changed.

    So it is for a change of data or of a prompt and for a retraining, not for a person or a
    schedule of `release`.
    """
    from sluice.control.retraining import list_events

    return cause in (DATA_CHANGED, PROMPT_CHANGED) or bool(list_events(cause))


@dataclass(frozen=True)
class Claim:
    """A run's claim on a cause, the lease that it was made under, and its outcome.

    `outcome` is empty until the claim is settled.
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
        """Whether its run ended with a result that another try would not change."""
        return self.outcome != OPEN

    def belongs_to(self, flow_run: str) -> bool:
        """Whether this run holds the claim."""
        return self.flow_run == flow_run

    def may_pass_to(self, flow_run: str, lease: Lease) -> bool:
        """Whether this run may take the claim: it is its own, or open and its run is gone.

        `lease` is the current state of the lease that the claim was made under.
        """
        alive = lease.epoch == self.lease_epoch and not lease.is_free
        return self.belongs_to(flow_run) or not (self.is_settled or alive)


def name_data_cause(data_version: int, config_hash: str) -> str:
    """Return the name of a data version under a configuration, with 12 digits of its hash."""
    return f"data v{data_version}, configuration {config_hash[:12]}"
