"""A rollout's whole state between two ticks."""

from collections.abc import Mapping
from dataclasses import dataclass

from sluice.config.policy import Policy
from sluice.rollout.facts import Arm
from sluice.rollout.observation import Observation, open_histories, open_stage
from sluice.rollout.phases import Phase
from sluice.rollout.soak import Alarm

UNSEEN = 3
"""Ticks that may be missing before the lease is left to lapse."""


@dataclass(frozen=True)
class Soak:
    """The watch at full traffic: alarms by rule, the latency limit that is frozen, its ticks."""

    alarms: Mapping[str, Alarm]
    limit: int | None
    blocks: int = 0


@dataclass(frozen=True)
class Rollout:
    """Where a rollout is and what it has seen; nothing else decides its next step."""

    phase: Phase
    stage: int
    epoch: int
    """Goes up with each change of the candidate's weight."""
    seen: Observation
    soak: Soak | None = None
    approved: bool = False
    unseen: int = 0
    """Ticks in a row that could not be used."""
    reason: str = ""
    thaws_to: Phase = Phase.HOLDING
    """The phase that a frozen rollout returns to: holding, or paused where it was."""

    @property
    def renews(self) -> bool:
        """Whether the lease is renewed; left to lapse, the champion serves alone."""
        return not self.phase.is_final and self.unseen < UNSEEN

    def weight(self, policy: Policy) -> float:
        """Give the candidate's share of traffic in this state."""
        if self.phase in (Phase.SOAK, Phase.DONE):
            return 1.0
        if self.phase.is_staged and self.phase is not Phase.FROZEN:
            return policy.stages[self.stage].weight
        return 0.0


def start(policy: Policy, before: list[Arm], epoch: int = 0) -> Rollout:
    """Give a rollout that has not begun; `before` is the champion's traffic, an arm a block.

    Of it the policy's `history` counts.
    """
    histories, baseline = open_histories(policy, before)
    return Rollout(Phase.PENDING, 0, epoch, open_stage(policy, 0, histories, baseline))
