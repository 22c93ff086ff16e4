"""A rollout's state: phases, decisions, commands, the soak; and its form as JSON.

What follows from the policy (boundaries, lengths) is not written: it is made anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.policy import Policy
from sluice.rollout.breaker import ALTERNATIVES, LIMIT, THRESHOLD
from sluice.rollout.evidence import HIGHEST, Numbers, align, average, measure_trials
from sluice.rollout.facts import Arm
from sluice.rollout.history import History
from sluice.rollout.latency import LatencyLimits
from sluice.rollout.observation import (
    Baseline,
    Observation,
    StageEvidence,
    open_histories,
    open_stage,
)


class Phase(StrEnum):
    """Where a rollout is."""

    PENDING = "pending"
    SHADOW = "shadow"
    CANARY = "canary"
    HOLDING = "holding"
    FROZEN = "frozen"
    PAUSED = "paused"
    SOAK = "soak"
    DONE = "done"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    ABORTED = "aborted"

    @property
    def is_final(self) -> bool:
        """Whether the rollout is over."""
        return self in FINAL

    @property
    def is_staged(self) -> bool:
        """Whether a stage is under way, moving or not."""
        return self in STAGED


FINAL = frozenset({Phase.DONE, Phase.ROLLED_BACK, Phase.ABORTED})
STAGED = frozenset({Phase.SHADOW, Phase.CANARY, Phase.HOLDING, Phase.FROZEN, Phase.PAUSED})


class Verb(StrEnum):
    """What a step decided."""

    BEGIN = "begin"
    GO_ON = "go on"
    HOLD = "hold"
    PAUSE = "pause"
    FREEZE = "freeze"
    THAW = "thaw"
    ROLL_BACK = "roll back"
    FINISH = "finish"
    OBEY = "obey"
    REFUSE = "refuse"


class Action(StrEnum):
    """What a person may command."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    SKIP = "skip"
    PROMOTE = "promote now"
    ROLL_BACK = "roll back"
    APPROVE = "approve"


@dataclass(frozen=True)
class Command:
    """A person's command, with who gave it and why."""

    action: Action
    by: str
    why: str


@dataclass(frozen=True)
class Decision:
    """What a step decided and why; `rule` is the test that decided, if one did."""

    verb: Verb
    reason: str
    rule: str = ""


ALLOWED: dict[Action, frozenset[Phase]] = {
    Action.PAUSE: STAGED - {Phase.PAUSED, Phase.FROZEN},
    Action.RESUME: frozenset({Phase.PAUSED}),
    Action.ABORT: STAGED | {Phase.PENDING},
    Action.SKIP: STAGED - {Phase.FROZEN},
    Action.PROMOTE: STAGED - {Phase.FROZEN},
    Action.ROLL_BACK: STAGED | {Phase.SOAK},
    Action.APPROVE: STAGED,
}
"""In which phases each command makes sense; elsewhere it is refused with this list."""


FACTORS = tuple(rate / LIMIT for rate in ALTERNATIVES)


@dataclass(frozen=True)
class Alarm:
    """The breaker's e-CUSUM of p <= `limit`, fed by blocks: k of n at a time."""

    limit: float
    sums: NDArray[np.float64]

    @classmethod
    def begin(cls, limit: float) -> "Alarm":
        """Give a quiet alarm against a limit in (0, .98)."""
        return cls(limit, np.zeros(len(FACTORS)))

    @property
    def log_evidence(self) -> NDArray[np.float64]:
        """Natural logarithm of the evidence that the rate is above the limit."""
        return average(self.sums)

    @property
    def is_raised(self) -> NDArray[np.bool_]:
        """Whether the evidence is enough to act."""
        return np.asarray(self.log_evidence >= THRESHOLD)

    def update(self, n: Numbers, k: Numbers) -> "Alarm":
        """Give the alarm one block on."""
        rates = [min(factor * self.limit, (self.limit + 1) / 2, HIGHEST) for factor in FACTORS]
        steps = np.stack([measure_trials(n, k, rate, self.limit) for rate in rates])
        return replace(self, sums=np.maximum(align(self.sums, steps), 0) + steps)


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


Values = dict[str, Any]


def write_state(state: Rollout) -> Values:
    """Give everything of a state that its policy does not say."""
    return {
        "phase": state.phase.value,
        "stage": state.stage,
        "epoch": state.epoch,
        "seen": _write_observation(state.seen),
        "soak": _write_soak(state.soak) if state.soak else None,
        "approved": state.approved,
        "unseen": state.unseen,
        "reason": state.reason,
        "thaws_to": state.thaws_to.value,
    }


def read_state(values: Mapping[str, Any], policy: Policy) -> Rollout:
    """Build the state that `write_state` wrote, under the same policy."""
    soak = values["soak"]
    return Rollout(
        phase=Phase(values["phase"]),
        stage=values["stage"],
        epoch=values["epoch"],
        seen=_read_observation(values["seen"], values["stage"], policy),
        soak=_read_soak(soak) if soak else None,
        approved=values["approved"],
        unseen=values["unseen"],
        reason=values["reason"],
        thaws_to=Phase(values["thaws_to"]),
    )


def _write_observation(seen: Observation) -> Values:
    return {
        "evidence": {name: _write_evidence(item) for name, item in seen.evidence.items()},
        "baseline": _write_baseline(seen.baseline),
        "disagreement": _write_numbers(seen.disagreement.log_products),
        "blocks": seen.blocks,
        "waived": sorted(seen.waived),
    }


def _read_observation(values: Mapping[str, Any], stage: int, policy: Policy) -> Observation:
    histories = {
        name: History(_read_numbers(item["n"]), _read_numbers(item["k"]))
        for name, item in values["evidence"].items()
    }
    begun = open_stage(policy, stage, histories, _read_baseline(values["baseline"]))
    products = _read_numbers(values["disagreement"])
    return replace(
        begun,
        evidence={
            name: _read_evidence(item, values["evidence"][name])
            for name, item in begun.evidence.items()
        },
        disagreement=replace(begun.disagreement, log_products=products),
        blocks=values["blocks"],
        waived=frozenset(values["waived"]),
    )


def _write_evidence(item: StageEvidence) -> Values:
    return {
        "n": _write_numbers(item.history.n),
        "k": _write_numbers(item.history.k),
        "t": item.rollback.t,
        "bets": _write_numbers(item.rollback.log_bets),
        "first_rate": float(item.rollback.first_rate),
        "requests": float(item.rollback.requests),
        "failures": float(item.rollback.failures),
        "products": _write_numbers(item.passing.log_products),
    }


def _read_evidence(begun: StageEvidence, values: Mapping[str, Any]) -> StageEvidence:
    rollback = replace(
        begun.rollback,
        t=values["t"],
        log_bets=_read_numbers(values["bets"]),
        first_rate=values["first_rate"],
        requests=values["requests"],
        failures=values["failures"],
    )
    passing = replace(begun.passing, log_products=_read_numbers(values["products"]))
    return replace(begun, rollback=rollback, passing=passing)


def _write_baseline(baseline: Baseline) -> Values:
    limits = baseline.limits
    return {
        "window": [{str(key): n for key, n in item.items()} for item in baseline.window],
        "limits": [limits.baseline, limits.near, limits.far] if limits else None,
        "age": baseline.age,
    }


def _read_baseline(values: Mapping[str, Any]) -> Baseline:
    window = tuple({int(key): n for key, n in item.items()} for item in values["window"])
    limits = LatencyLimits(*values["limits"]) if values["limits"] else None
    return Baseline(window, limits, values["age"])


def _write_soak(soak: Soak) -> Values:
    alarms = {
        name: {"limit": item.limit, "sums": _write_numbers(item.sums)}
        for name, item in soak.alarms.items()
    }
    return {"alarms": alarms, "limit": soak.limit, "blocks": soak.blocks}


def _read_soak(values: Mapping[str, Any]) -> Soak:
    alarms = {
        name: Alarm(item["limit"], _read_numbers(item["sums"]))
        for name, item in values["alarms"].items()
    }
    return Soak(alarms, values["limit"], values["blocks"])


def _write_numbers(numbers: Any) -> list[float | str]:
    """Give an array of one axis; what JSON has no number for is written as a word."""
    return [item if isfinite(item) else str(item) for item in np.asarray(numbers, float).tolist()]


def _read_numbers(values: list[float | str]) -> Any:
    return np.array([float(item) for item in values], dtype=float)
