"""What is simulated: a policy, the traffic that it meets, how many rollouts, and who judges."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sluice.config.policy import Policy
from sluice.rollout.simulation.arrivals import Arrivals, DrawnArrivals
from sluice.rollout.simulation.judging import ERRORS, LATENCY
from sluice.rollout.simulation.recorded import RecordedArrivals, Recording, ReplayArrivals
from sluice.rollout.simulation.signals import choose_signals
from sluice.rollout.simulation.traffic import Traffic
from sluice.rollout.simulation.users import FirstRequestArrivals, UserArrivals

SHORT = 240
"""Blocks up to which a stage's clustering is measured each block."""
SPARSELY = 10
"""Beyond, it is measured each so many blocks unless told otherwise, and the report says so."""


@dataclass(frozen=True)
class Trial:
    """What is simulated: a policy on traffic, so many rollouts, judged one way."""

    policy: Policy
    traffic: Traffic
    runs: int = 1000
    seed: int = 1
    judge: Literal["evidence", "points"] = "evidence"
    checks: int = 1
    """Failed checks that roll back, where points judge."""
    recording: Recording | None = None
    replay: bool = False
    """Whether the recorded candidate is judged, block by block as it was (one rollout)."""
    soak: bool = True
    sparsely: int = SPARSELY
    """Each how many blocks clustering is measured where stages are longer than `short` blocks."""
    short: int = SHORT
    keep_going: bool = False
    """Whether a rollout that did not pass a stage goes on all the same (feasibility)."""

    @property
    def every(self) -> int:
        """Each how many blocks clustering is measured."""
        longest = max(self.policy.count_blocks(stage.max) for stage in self.policy.stages)
        return 1 if longest <= self.short else self.sparsely

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that are drawn: none on recorded counts; business where the policy has it."""
        if self.recording is not None:
            return ()
        return choose_signals(self.policy, self.traffic.signals is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """The rules that there are counts for."""
        return (*ERRORS, *(() if self.recording else LATENCY), *self.signals)

    @property
    def unasked(self) -> dict[str, tuple[str, ...]]:
        """The pass rules of each stage that there are no counts for; they count as passed."""
        known = (*self.names, "disagreement")
        found = {
            stage.name: tuple(rule for rule in stage.passes if rule not in known)
            for stage in self.policy.stages
        }
        return {stage: rules for stage, rules in found.items() if rules}


def open_arrivals(trial: Trial, rng: np.random.Generator) -> Arrivals:
    """Open the source of blocks that the trial's traffic calls for."""
    traffic, policy = trial.traffic, trial.policy
    if trial.recording is not None and trial.replay:
        return ReplayArrivals(trial.recording, trial.runs, policy.count_blocks(policy.history))
    if trial.recording is not None:
        return RecordedArrivals(trial.recording, traffic, trial.runs, rng)
    if traffic.users is None:
        return DrawnArrivals(traffic, policy.block, rng)
    if policy.count == "units":
        return FirstRequestArrivals(traffic, policy.block, rng, trial.runs)
    weights = [stage.weight for stage in policy.stages if stage.weight]
    users = UserArrivals(traffic, policy.block, rng, weights)
    users.prepare(trial.runs, policy.rules.error_margin.margin)
    return users
