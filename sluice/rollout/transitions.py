"""The moves between a rollout's phases, each with a new epoch where the weight changes."""

from dataclasses import replace

from sluice.config.policy import Policy, Stage
from sluice.rollout import breaker
from sluice.rollout.observation import gather_histories, open_stage
from sluice.rollout.phases import Decision, Phase, Verb
from sluice.rollout.rollback import HIGHEST
from sluice.rollout.soak import Alarm
from sluice.rollout.state import Rollout, Soak

SPARE_RATE = 1e-3
"""Guardrail rate that the soak's limit is set from where the champion's is not known."""


def name_moving(stage: Stage) -> Phase:
    """Give the phase of a stage that is under way."""
    return Phase.SHADOW if stage.weight == 0 else Phase.CANARY


def enter_stage(state: Rollout, stage: int, policy: Policy) -> Rollout:
    """Begin a stage, with everything that is known of the champion so far."""
    seen = open_stage(policy, stage, gather_histories(state.seen), state.seen.baseline)
    return Rollout(name_moving(policy.stages[stage]), stage, state.epoch + 1, seen)


def go_on(state: Rollout, policy: Policy) -> Rollout:
    """Begin the next stage, or the soak after the last one."""
    if state.stage + 1 < len(policy.stages):
        return enter_stage(state, state.stage + 1, policy)
    return take_over(state, policy)


def take_over(state: Rollout, policy: Policy) -> Rollout:
    """Give the candidate all traffic, watched against what the champion was."""
    guardrail = state.seen.evidence["guardrail"].history
    rate = float(guardrail.rate) if bool(guardrail.is_known) else SPARE_RATE
    limits = state.seen.baseline.limits
    alarms = {
        "error_rate": Alarm.begin(breaker.LIMIT),
        "guardrail": Alarm.begin(min(policy.rules.guardrail.ratio * rate, HIGHEST / 2)),
    }
    if limits is not None:
        alarms["latency_double"] = Alarm.begin(breaker.LIMIT)
    soak = Soak(alarms, limits.far if limits else None)
    taken = replace(state, phase=Phase.SOAK, epoch=state.epoch + 1, soak=soak)
    return replace(taken, unseen=0, reason="soak")


def roll_back(state: Rollout, reason: str, rule: str) -> tuple[Rollout, Decision]:
    """Take all traffic from the candidate."""
    back = replace(state, phase=Phase.ROLLING_BACK, epoch=state.epoch + 1, reason=reason)
    return back, Decision(Verb.ROLL_BACK, reason, rule)
