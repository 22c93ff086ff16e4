"""One rollout as it is stored in the control store, and the route that its state requires."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sluice.config.policy import Policy
from sluice.config.rollout import RouteConfig
from sluice.control.route import Mode, Route
from sluice.rollout.collection import CounterReading
from sluice.rollout.facts import read_arm, write_arm
from sluice.rollout.state import Phase, RolloutState


@dataclass(frozen=True)
class RolloutRecord:
    """One rollout of a service, from its opening to its end; `number` counts them per service."""

    service: str
    number: int
    champion: int
    """The version that served when the rollout was opened."""
    candidate: int
    policy: Policy
    terms: RouteConfig
    salt: str
    state: RolloutState
    tick: int = 1
    """Number of the next record of its log."""
    readings: Mapping[str, CounterReading] = field(default_factory=dict)
    """Every worker's counters when last read; the next block is the difference to these."""
    settled: bool = False
    """Whether the registry's aliases are known to match its end."""
    cost_cap: float = 0.0
    """US dollars that one request counts as at most; 0: costs do not count."""

    @property
    def is_serving(self) -> bool:
        """Whether the candidate has all traffic, so that `champion` is its alias."""
        return self.state.phase in (Phase.SOAK, Phase.DONE)

    @property
    def is_beaten(self) -> bool:
        """Whether the candidate was, or is being, rolled back."""
        return self.state.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)

    @property
    def stage_name(self) -> str:
        """The stage by the name that its policy gives it; outside of stages the phase.

        A stage that holds, is frozen or paused has that beside its name: `quarter (paused)`.
        """
        phase, stage = self.state.phase, self.policy.stages[self.state.stage]
        if not phase.is_staged:
            return phase.value
        moves = phase in (Phase.SHADOW, Phase.CANARY)
        return stage.name if moves else f"{stage.name} ({phase})"

    def direct(self, seen: Route) -> Route:
        """Return the route for gateways in this state, which replaces the one that was seen.

        While frozen, the candidate stays loaded and gets no traffic.
        """
        phase = self.state.phase
        if not phase.is_staged:
            return seen.follow(self.candidate if self.is_serving else self.champion)
        weight = self.state.weight(self.policy)
        rules = self.policy.rules
        in_shadow = self.policy.stages[self.state.stage].weight == 0
        return replace(
            seen,
            champion=self.champion,
            candidate=self.candidate,
            weight=weight,
            stage_weights=tuple(item.weight for item in self.policy.stages if item.weight > 0),
            shadow_share=0.0 if phase is Phase.FROZEN else self.terms.shadow_share,
            salt=self.salt,
            assign_by=self.terms.assign_by,
            mode=Mode.SHADOW if in_shadow else Mode.CANARY,
            arm_timeout_ms=self.terms.arm_timeout_ms,
            candidate_concurrency=self.terms.candidate_concurrency,
            ttl=self.terms.lease_ttl,
            tolerance=rules.disagreement.tolerance,
            value_cap=0.0 if rules.business == "none" else rules.business.cap,
            cost_cap=self.cost_cap,
        )


@dataclass(frozen=True)
class RolloutSummary:
    """One line of a list of rollouts, without the state."""

    service: str
    number: int
    champion: int
    candidate: int
    phase: Phase
    tick: int
    """Number of the next record of its log."""
    opened: datetime
    ended: datetime | None
    written: datetime
    """When the last record was written, by the writer's clock."""


def write_readings(readings: Mapping[str, CounterReading]) -> dict[str, Any]:
    """Return readings as values that JSON can hold."""
    return {
        name: [item.started, write_arm(item.candidate), write_arm(item.champion)]
        for name, item in readings.items()
    }


def read_readings(values: Mapping[str, Any]) -> dict[str, CounterReading]:
    """Build the readings that `write_readings` wrote."""
    return {
        name: CounterReading(started, read_arm(candidate), read_arm(champion))
        for name, (started, candidate, champion) in values.items()
    }
