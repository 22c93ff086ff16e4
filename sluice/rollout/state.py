"""A rollout's state: phases, decisions, commands, the soak, and how all of it is stored as JSON.

What follows from the policy (boundaries, lengths) is not stored; it is computed again on reading.
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
    """The phase of a rollout."""

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
        """Whether a stage is under way, also one that holds, is frozen or paused."""
        return self in STAGED


FINAL = frozenset({Phase.DONE, Phase.ROLLED_BACK, Phase.ABORTED})
STAGED = frozenset({Phase.SHADOW, Phase.CANARY, Phase.HOLDING, Phase.FROZEN, Phase.PAUSED})


class Verb(StrEnum):
    """What a step decided."""

    BEGIN = "begin"
    ADVANCE = "advance"
    HOLD = "hold"
    PAUSE = "pause"
    FREEZE = "freeze"
    THAW = "thaw"
    ROLL_BACK = "roll back"
    FINISH = "finish"
    OBEY = "obey"
    REFUSE = "refuse"


class Action(StrEnum):
    """A command that a person may give."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    SKIP = "skip"
    PROMOTE = "promote-now"
    ROLL_BACK = "roll-back"
    APPROVE = "approve"

    @classmethod
    def _missing_(cls, value: object) -> "Action | None":
        """Accept the spelling with a space, in which earlier versions stored commands."""
        text = str(value).replace(" ", "-")
        return next((item for item in cls if item.value == text), None)


@dataclass(frozen=True)
class Command:
    """A person's command, with who gave it and the reason."""

    action: Action
    by: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """A step's decision and its reason; `rule` names the test that decided, if one did."""

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
"""The phases in which each command is allowed; in another it is refused, and these are named."""


FACTORS = tuple(rate / LIMIT for rate in ALTERNATIVES)


@dataclass(frozen=True)
class Alarm:
    """The circuit breaker's e-CUSUM of p <= `limit`, updated by blocks: k failures of n."""

    limit: float
    sums: NDArray[np.float64]

    @classmethod
    def begin(cls, limit: float) -> "Alarm":
        """Return an alarm without evidence, against a limit in (0, .98)."""
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
        """Return the alarm after one more block."""
        rates = [min(factor * self.limit, (self.limit + 1) / 2, HIGHEST) for factor in FACTORS]
        steps = np.stack([measure_trials(n, k, rate, self.limit) for rate in rates])
        return replace(self, sums=np.maximum(align(self.sums, steps), 0) + steps)


MAX_MISSED_TICKS = 3
"""Unusable ticks in a row after which the route's lease is no longer renewed."""


@dataclass(frozen=True)
class Soak:
    """The soak at full traffic: alarms by rule, the frozen latency limit, and blocks so far."""

    alarms: Mapping[str, Alarm]
    limit: int | None
    blocks: int = 0


@dataclass(frozen=True)
class RolloutState:
    """A rollout's phase and everything observed so far; nothing else decides its next step."""

    phase: Phase
    stage: int
    epoch: int
    """Increases with each change of the candidate's weight."""
    observation: Observation
    soak: Soak | None = None
    approved: bool = False
    missed_ticks: int = 0
    """Ticks in a row that could not be used."""
    reason: str = ""
    thaws_to: Phase = Phase.HOLDING
    """The phase after a freeze: holding, or paused if the rollout was paused before."""

    @property
    def renews(self) -> bool:
        """Whether the route's lease is renewed; once it lapses, the champion serves alone."""
        return not self.phase.is_final and self.missed_ticks < MAX_MISSED_TICKS

    def weight(self, policy: Policy) -> float:
        """Return the candidate's share of traffic in this state, 0 to 1."""
        if self.phase in (Phase.SOAK, Phase.DONE):
            return 1.0
        if self.phase.is_staged and self.phase is not Phase.FROZEN:
            return policy.stages[self.stage].weight
        return 0.0


def start(policy: Policy, before: list[Arm], epoch: int = 0) -> RolloutState:
    """Return a rollout that has not begun; `before` is the champion's traffic, one arm per block.

    Only the last part of it counts, as long as the policy's `history`.
    """
    histories, baseline = open_histories(policy, before)
    return RolloutState(Phase.PENDING, 0, epoch, open_stage(policy, 0, histories, baseline))


Values = dict[str, Any]
RENAMED_KEYS = {"seen": "observation", "unseen": "missed_ticks"}
"""Keys of stored states that earlier versions wrote, and today's."""


def write_state(state: RolloutState) -> Values:
    """Return a state as values that JSON can hold, without what its policy determines."""
    return {
        "phase": state.phase.value,
        "stage": state.stage,
        "epoch": state.epoch,
        "observation": _write_observation(state.observation),
        "soak": _write_soak(state.soak) if state.soak else None,
        "approved": state.approved,
        "missed_ticks": state.missed_ticks,
        "reason": state.reason,
        "thaws_to": state.thaws_to.value,
    }


def read_state(values: Mapping[str, Any], policy: Policy) -> RolloutState:
    """Build the state that `write_state` wrote, under the same policy.

    States that earlier versions stored use other keys (`RENAMED_KEYS`).
    """
    values = {RENAMED_KEYS.get(key, key): value for key, value in values.items()}
    soak = values["soak"]
    return RolloutState(
        phase=Phase(values["phase"]),
        stage=values["stage"],
        epoch=values["epoch"],
        observation=_read_observation(values["observation"], values["stage"], policy),
        soak=_read_soak(soak) if soak else None,
        approved=values["approved"],
        missed_ticks=values["missed_ticks"],
        reason=values["reason"],
        thaws_to=Phase(values["thaws_to"]),
    )


def _write_observation(observation: Observation) -> Values:
    return {
        "evidence": {name: _write_evidence(item) for name, item in observation.evidence.items()},
        "baseline": _write_baseline(observation.baseline),
        "disagreement": _write_numbers(observation.disagreement.log_products),
        "blocks": observation.blocks,
        "waived": sorted(observation.waived),
        "first_byte": _write_baseline(observation.first_byte),
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
        first_byte=_read_baseline(values["first_byte"]) if "first_byte" in values else Baseline(),
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
    """Return a one-dimensional array as a list; nan and infinities become text."""
    return [item if isfinite(item) else str(item) for item in np.asarray(numbers, float).tolist()]


def _read_numbers(values: list[float | str]) -> Any:
    return np.array([float(item) for item in values], dtype=float)
