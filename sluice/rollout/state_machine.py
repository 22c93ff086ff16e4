"""The rollout as a state machine: one pure step per tick, from facts to a decision."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log

from sluice.config.policy import Policy, Stage
from sluice.rollout import breaker
from sluice.rollout.balance import THRESHOLD, compare_ratio
from sluice.rollout.evidence import HIGHEST
from sluice.rollout.facts import Arm, Facts
from sluice.rollout.latency import count_overruns
from sluice.rollout.observation import (
    Observation,
    find_rejections,
    gather_histories,
    observe,
    open_stage,
)
from sluice.rollout.state import (
    ALLOWED,
    Action,
    Alarm,
    Command,
    Decision,
    Phase,
    RolloutState,
    Soak,
    Verb,
)
from sluice.rounding import write_fixed

SPARE_RATE = 1e-3
"""Guardrail rate from which the soak's limit is set if the champion's rate is not known."""


def name_moving(stage: Stage) -> Phase:
    """Return the phase of a stage that is under way."""
    return Phase.SHADOW if stage.weight == 0 else Phase.CANARY


def enter_stage(state: RolloutState, stage: int, policy: Policy) -> RolloutState:
    """Begin a stage with the champion's history so far."""
    before = state.observation
    histories, first = gather_histories(before), before.first_byte
    observation = open_stage(policy, stage, histories, before.baseline, first)
    return RolloutState(name_moving(policy.stages[stage]), stage, state.epoch + 1, observation)


def advance(state: RolloutState, policy: Policy) -> RolloutState:
    """Begin the next stage, or the soak after the last one."""
    if state.stage + 1 < len(policy.stages):
        return enter_stage(state, state.stage + 1, policy)
    return promote_candidate(state, policy)


def promote_candidate(state: RolloutState, policy: Policy) -> RolloutState:
    """Route all traffic to the candidate, with alarms at limits taken from the champion."""
    guardrail = state.observation.evidence["guardrail"].history
    rate = float(guardrail.rate) if bool(guardrail.is_known) else SPARE_RATE
    limits = state.observation.baseline.limits
    alarms = {
        "error_rate": Alarm.begin(breaker.LIMIT),
        "guardrail": Alarm.begin(min(policy.rules.guardrail.ratio * rate, HIGHEST / 2)),
    }
    if limits is not None:
        alarms["latency_double"] = Alarm.begin(breaker.LIMIT)
    soak = Soak(alarms, limits.far if limits else None)
    promoted = replace(state, phase=Phase.SOAK, epoch=state.epoch + 1, soak=soak)
    return replace(promoted, missed_ticks=0, reason="soak")


def roll_back(state: RolloutState, reason: str, rule: str) -> tuple[RolloutState, Decision]:
    """Remove all traffic from the candidate."""
    back = replace(state, phase=Phase.ROLLING_BACK, epoch=state.epoch + 1, reason=reason)
    return back, Decision(Verb.ROLL_BACK, reason, rule)


def apply_command(
    state: RolloutState, command: Command, policy: Policy
) -> tuple[RolloutState, Decision]:
    """Apply a person's command, or refuse it and name the phases in which it is allowed."""
    action = command.action
    if state.phase not in ALLOWED[action]:
        allowed = ", ".join(sorted(ALLOWED[action]))
        reason = f"{action}: the rollout is {state.phase}; allowed while it is {allowed}"
        return state, Decision(Verb.REFUSE, reason, "command")
    if not command.by.strip() or not command.reason.strip():
        reason = f"{action}: found no name or no reason; needed: a name and a reason"
        return state, Decision(Verb.REFUSE, reason, "command")
    reason = f"{action} ({command.by}: {command.reason})"
    return _apply(state, action, policy, reason), Decision(Verb.OBEY, reason, "command")


def _apply(state: RolloutState, action: Action, policy: Policy, reason: str) -> RolloutState:
    changed = {
        Action.ROLL_BACK: lambda: roll_back(state, reason, "command")[0],
        Action.ABORT: lambda: replace(state, phase=Phase.ABORTED, epoch=state.epoch + 1),
        Action.SKIP: lambda: advance(state, policy),
        Action.PROMOTE: lambda: promote_candidate(state, policy),
        Action.APPROVE: lambda: replace(state, approved=True),
        Action.PAUSE: lambda: replace(state, phase=Phase.PAUSED),
        Action.RESUME: lambda: _resume(state, policy),
    }[action]()
    return replace(changed, reason=reason)


def _resume(state: RolloutState, policy: Policy) -> RolloutState:
    """Continue after a pause; a rule that paused the rollout is waived for this stage."""
    observation = state.observation
    rejected = {rule.name for rule in find_rejections(observation, policy)}
    observation = replace(observation, waived=observation.waived | rejected)
    moving = name_moving(policy.stages[state.stage])
    return replace(state, phase=moving, observation=observation)


@dataclass(frozen=True)
class Blocker:
    """One reason not to advance yet; `holds` unless more traffic alone can resolve it."""

    reason: str
    holds: bool = True


def list_blockers(state: RolloutState, facts: Facts, policy: Policy) -> Iterator[Blocker]:
    """List everything that keeps the rollout from the next stage, in the order of checking."""
    stage, observation = policy.stages[state.stage], state.observation
    if empty := _name_empty(facts):
        yield Blocker(empty, holds=False)
    least = policy.count_blocks(stage.min)
    if observation.blocks < least:
        yield Blocker(f"block {observation.blocks} of at least {least}", holds=False)
        return
    if facts.units is not None and stage.weight > 0:
        units = facts.units.candidate, facts.units.champion
        if compare_ratio(*units, stage.weight) >= THRESHOLD:
            yield Blocker(f"sample ratio: {units[0]:,} and {units[1]:,} units at {stage.weight:g}")
    for name in stage.passes:
        yield from _check_pass(observation, name, policy)
    if stage.weight == 0 and policy.count == "requests" and facts.fair_salt is not True:
        found = "not yet measured" if facts.fair_salt is None else "no salt is fair: count units"
        yield Blocker(f"shadow balance: {found}")
    if facts.smoke is not True:
        yield Blocker(f"smoke test: {'not yet run' if facts.smoke is None else 'failed'}")
    if stage.approve and not state.approved:
        yield Blocker("approval: a person must approve this stage")


def _name_empty(facts: Facts) -> str:
    """Say which arm had no request in this tick; a rollout advances only if both had some."""
    arms = (("candidate ", facts.candidate), ("champion ", facts.champion))
    empty = [name for name, arm in arms if arm is None or arm.requests <= 0]
    return f"no {'' if len(empty) == len(arms) else empty[0]}traffic" if empty else ""


def _check_pass(observation: Observation, name: str, policy: Policy) -> Iterator[Blocker]:
    value, needed = read_pass(observation, name), log(1 / policy.pass_alpha)
    if value is None:
        yield Blocker(f"{name}: cannot be tested at the champion's rate")
    elif value < needed:
        yield Blocker(f"{name}: evidence {write_fixed(value, 2)} of {needed:.2f}", holds=False)


def read_pass(observation: Observation, name: str) -> float | None:
    """Return a pass test's value as a natural logarithm; None if it cannot be tested."""
    if name == "disagreement":
        return float(observation.disagreement.log_value)
    item = observation.evidence[name]
    possible = bool(item.passing.is_possible(item.history.rate))
    return float(item.passing.log_value) if possible else None


SHARED = "the champion fails too: the candidate is not the cause"


def step(
    state: RolloutState, facts: Facts, command: Command | None, policy: Policy
) -> tuple[RolloutState, Decision]:
    """Decide one tick, or apply one command; a command is a step of its own and uses no facts.

    Facts collected under another epoch are not used: not every replica served this state's route.
    """
    if command is not None:
        return apply_command(state, command, policy)
    if state.phase.is_final:
        return state, Decision(Verb.HOLD, f"the rollout is {state.phase}")
    if state.phase is Phase.PENDING:
        begun = enter_stage(state, 0, policy)
        return begun, Decision(Verb.BEGIN, f"stage {policy.stages[0].name}")
    if state.phase is Phase.ROLLING_BACK:
        return _finish_rollback(state, facts)
    return (_soak if state.phase is Phase.SOAK else _stage)(state, facts, policy)


def _finish_rollback(state: RolloutState, facts: Facts) -> tuple[RolloutState, Decision]:
    """Hold until every gateway serves without the candidate, then finish."""
    if facts.epoch != state.epoch:
        return state, Decision(Verb.HOLD, "rolling back: not every gateway has the new route yet")
    ended = replace(state, phase=Phase.ROLLED_BACK)
    return ended, Decision(Verb.FINISH, f"rolled back: {state.reason}")


def _stage(state: RolloutState, facts: Facts, policy: Policy) -> tuple[RolloutState, Decision]:
    incident = _find_incident(state, facts)
    if incident is not None:
        return incident
    problem = _find_problem(state, facts)
    if problem:
        held = replace(state, missed_ticks=state.missed_ticks + 1)
        if state.phase is not Phase.PAUSED:  # a pause keeps its own reason
            held = replace(held, phase=Phase.HOLDING, reason=problem)
        return held, Decision(Verb.HOLD, problem)
    return _evaluate_block(replace(state, missed_ticks=0), facts, policy)


def _find_problem(state: RolloutState, facts: Facts) -> str:
    """Say why a tick cannot be used; missing data never counts as good."""
    return facts.problem or _find_lag(state, facts)


def _find_lag(state: RolloutState, facts: Facts) -> str:
    """Say that not every gateway serves this state's route; empty if each does."""
    if facts.epoch == state.epoch:
        return ""
    return f"the gateways serve epoch {facts.epoch}, the rollout is at epoch {state.epoch}"


def _find_soak_problem(state: RolloutState, facts: Facts) -> str:
    """Say why a tick of the soak cannot be used; no champion is expected in the soak."""
    if facts.candidate is None:
        return facts.missing or "counters could not be read"
    problem = facts.candidate.problem
    return f"candidate: {problem}" if problem else _find_lag(state, facts)


def _find_incident(state: RolloutState, facts: Facts) -> tuple[RolloutState, Decision] | None:
    """Distinguish the candidate's own failure from an incident that both arms share."""
    alarm = facts.champion_alarm
    if alarm >= breaker.THRESHOLD or (facts.tripped and not alarm < 0):
        if state.phase is Phase.FROZEN:
            return state, Decision(Verb.HOLD, SHARED)
        back = Phase.PAUSED if state.phase is Phase.PAUSED else Phase.HOLDING
        frozen = replace(state, phase=Phase.FROZEN, epoch=state.epoch + 1, thaws_to=back)
        return replace(frozen, reason=SHARED), Decision(Verb.FREEZE, SHARED, "breaker")
    if facts.tripped:
        reason = "its circuit breaker opened while the champion was healthy"
        return roll_back(state, reason, "breaker")
    if state.phase is Phase.FROZEN:
        if facts.champion is None or not alarm < 0:
            return state, Decision(Verb.HOLD, SHARED)
        thawed = replace(state, phase=state.thaws_to, epoch=state.epoch + 1)
        return thawed, Decision(Verb.THAW, "the champion is healthy again")
    return None


def _evaluate_block(
    state: RolloutState, facts: Facts, policy: Policy
) -> tuple[RolloutState, Decision]:
    """Update every test with the block; read the roll-back tests first, then the pass tests."""
    candidate, champion = facts.candidate or Arm(), facts.champion or Arm()
    paused = state.phase is Phase.PAUSED
    observation = observe(state.observation, candidate, champion, policy, counting=not paused)
    state = replace(state, observation=observation)
    rejected = find_rejections(observation, policy)
    for rule in rejected:
        if rule.action == "roll_back":
            return roll_back(state, f"{rule.name}: beyond its limit", rule.name)
    if paused:
        return state, Decision(Verb.HOLD, state.reason)
    if not rejected:
        return _judge_end(state, facts, policy)
    rule = rejected[0]
    reason = f"{rule.name}: beyond its limit; a person decides"
    held = replace(state, phase=Phase.PAUSED, reason=reason)
    return held, Decision(Verb.PAUSE, reason, rule.name)


def _judge_end(state: RolloutState, facts: Facts, policy: Policy) -> tuple[RolloutState, Decision]:
    """Advance if nothing blocks it; otherwise hold, and list what does."""
    stage, blocks = policy.stages[state.stage], state.observation.blocks
    blockers = list(list_blockers(state, facts, policy))
    if not blockers:
        reason = f"{stage.name}: every test passed after {blocks} blocks"
        return advance(state, policy), Decision(Verb.ADVANCE, reason)
    reason = "; ".join(blocker.reason for blocker in blockers)
    late = blocks >= policy.count_blocks(stage.max)
    if late and stage.on_max == "roll_back":
        reason = f"{stage.name}: not passed after {blocks} blocks: {reason}"
        return roll_back(state, reason, "on_max")
    holds = late or any(blocker.holds for blocker in blockers)
    phase = Phase.HOLDING if holds else name_moving(stage)
    return replace(state, phase=phase, reason=reason), Decision(Verb.HOLD, reason)


def _soak(state: RolloutState, facts: Facts, policy: Policy) -> tuple[RolloutState, Decision]:
    """Test the candidate at full traffic; there is no champion to compare with."""
    arm, soak, problem = facts.candidate, state.soak, _find_soak_problem(state, facts)
    if problem or soak is None or arm is None:
        missed = replace(state, missed_ticks=state.missed_ticks + 1, reason=problem)
        return missed, Decision(Verb.HOLD, f"soak: {problem}")
    if arm.requests <= 0:
        return replace(state, missed_ticks=0), Decision(Verb.HOLD, "soak: no traffic")
    soak = _update_alarms(soak, arm)
    state = replace(state, soak=soak, missed_ticks=0)
    for name, alarm in soak.alarms.items():
        if bool(alarm.is_raised):
            return roll_back(state, f"{name}: beyond its frozen limit in the soak", name)
    needed = policy.count_blocks(policy.soak)
    if soak.blocks < needed:
        return state, Decision(Verb.HOLD, f"soak: block {soak.blocks} of {needed}")
    done = replace(state, phase=Phase.DONE, reason="promoted")
    return done, Decision(Verb.FINISH, f"promoted after {needed} blocks of soak")


def _update_alarms(soak: Soak, arm: Arm) -> Soak:
    counts = {"error_rate": arm.failures, "guardrail": arm.guardrails}
    if soak.limit is not None:
        counts["latency_double"] = count_overruns(arm.latencies, arm.failures, soak.limit)
    alarms = {name: soak.alarms[name].update(arm.requests, k) for name, k in counts.items()}
    return Soak(alarms, soak.limit, soak.blocks + 1)
