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
    Rollout,
    Soak,
    Verb,
)

SPARE_RATE = 1e-3
"""Guardrail rate that the soak's limit is set from where the champion's is not known."""


def name_moving(stage: Stage) -> Phase:
    """Give the phase of a stage that is under way."""
    return Phase.SHADOW if stage.weight == 0 else Phase.CANARY


def enter_stage(state: Rollout, stage: int, policy: Policy) -> Rollout:
    """Begin a stage, with everything that is known of the champion so far."""
    seen = open_stage(policy, stage, gather_histories(state.seen), state.seen.baseline)
    return Rollout(name_moving(policy.stages[stage]), stage, state.epoch + 1, seen)


def advance(state: Rollout, policy: Policy) -> Rollout:
    """Begin the next stage, or the soak after the last one."""
    if state.stage + 1 < len(policy.stages):
        return enter_stage(state, state.stage + 1, policy)
    return promote_candidate(state, policy)


def promote_candidate(state: Rollout, policy: Policy) -> Rollout:
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


def apply_command(state: Rollout, command: Command, policy: Policy) -> tuple[Rollout, Decision]:
    """Do as a person says where that makes sense; elsewhere say no, and where it would."""
    action = command.action
    if state.phase not in ALLOWED[action]:
        allowed = ", ".join(sorted(ALLOWED[action]))
        reason = f"{action}: the rollout is {state.phase}; allowed where it is {allowed}"
        return state, Decision(Verb.REFUSE, reason, "command")
    if not command.by.strip() or not command.why.strip():
        reason = f"{action}: found no name or no reason; say who and why"
        return state, Decision(Verb.REFUSE, reason, "command")
    words = f"{action} ({command.by}: {command.why})"
    return _apply(state, action, policy, words), Decision(Verb.OBEY, words, "command")


def _apply(state: Rollout, action: Action, policy: Policy, words: str) -> Rollout:
    changed = {
        Action.ROLL_BACK: lambda: roll_back(state, words, "command")[0],
        Action.ABORT: lambda: replace(state, phase=Phase.ABORTED, epoch=state.epoch + 1),
        Action.SKIP: lambda: advance(state, policy),
        Action.PROMOTE: lambda: promote_candidate(state, policy),
        Action.APPROVE: lambda: replace(state, approved=True),
        Action.PAUSE: lambda: replace(state, phase=Phase.PAUSED),
        Action.RESUME: lambda: _resume(state, policy),
    }[action]()
    return replace(changed, reason=words)


def _resume(state: Rollout, policy: Policy) -> Rollout:
    """Go on after a pause; a rule that paused the rollout is overridden for this stage."""
    rejected = {rule.name for rule in find_rejections(state.seen, policy)}
    seen = replace(state.seen, waived=state.seen.waived | rejected)
    return replace(state, phase=name_moving(policy.stages[state.stage]), seen=seen)


@dataclass(frozen=True)
class Want:
    """One thing that is wanting; `holds` where more traffic alone does not bring it."""

    words: str
    holds: bool = True


def list_wants(state: Rollout, facts: Facts, policy: Policy) -> Iterator[Want]:
    """Name everything that keeps the stage from its end, in the order in which it is asked."""
    stage, seen = policy.stages[state.stage], state.seen
    if empty := _name_empty(facts):
        yield Want(empty, holds=False)
    least = policy.count_blocks(stage.min)
    if seen.blocks < least:
        yield Want(f"block {seen.blocks} of at least {least}", holds=False)
        return
    if facts.units is not None and stage.weight > 0:
        units = facts.units.candidate, facts.units.champion
        if compare_ratio(*units, stage.weight) >= THRESHOLD:
            yield Want(f"sample ratio: {units[0]:,} and {units[1]:,} units at {stage.weight:g}")
    for name in stage.passes:
        yield from _ask_pass(seen, name, policy)
    if stage.weight == 0 and policy.count == "requests" and facts.fair_salt is not True:
        found = "not yet measured" if facts.fair_salt is None else "no salt is fair: count units"
        yield Want(f"shadow balance: {found}")
    if facts.smoke is not True:
        yield Want(f"smoke test: {'not yet run' if facts.smoke is None else 'failed'}")
    if stage.approve and not state.approved:
        yield Want("approval: a person has to say yes")


def _name_empty(facts: Facts) -> str:
    """Say which arm had no request in this tick; nothing is gone on with while one has none."""
    arms = (("candidate ", facts.candidate), ("champion ", facts.champion))
    empty = [name for name, arm in arms if arm is None or arm.requests <= 0]
    return f"no {'' if len(empty) == len(arms) else empty[0]}traffic" if empty else ""


def _ask_pass(seen: Observation, name: str, policy: Policy) -> Iterator[Want]:
    value, wanted = read_pass(seen, name), log(1 / policy.pass_alpha)
    if value is None:
        yield Want(f"{name}: cannot be tested at the champion's rate")
    elif value < wanted:
        yield Want(f"{name}: evidence {value:.2f} of {wanted:.2f}", holds=False)


def read_pass(seen: Observation, name: str) -> float | None:
    """Give a pass test's value as a natural logarithm, None where it cannot be tested."""
    if name == "disagreement":
        return float(seen.disagreement.log_value)
    item = seen.evidence[name]
    possible = bool(item.passing.is_possible(item.history.rate))
    return float(item.passing.log_value) if possible else None


SHARED = "the champion fails too: an incident that is not the candidate's"


def step(
    state: Rollout, facts: Facts, command: Command | None, policy: Policy
) -> tuple[Rollout, Decision]:
    """Decide one tick, or obey one command; a command is a step of its own and uses no facts.

    Facts that were seen under another epoch are not used: not every replica served as this state
    says.
    """
    if command is not None:
        return apply_command(state, command, policy)
    if state.phase.is_final:
        return state, Decision(Verb.HOLD, f"the rollout is {state.phase}")
    if state.phase is Phase.PENDING:
        begun = enter_stage(state, 0, policy)
        return begun, Decision(Verb.BEGIN, f"stage {policy.stages[0].name}")
    if state.phase is Phase.ROLLING_BACK:
        return _follow(state, facts)
    return (_soak if state.phase is Phase.SOAK else _stage)(state, facts, policy)


def _follow(state: Rollout, facts: Facts) -> tuple[Rollout, Decision]:
    """Wait until every gateway has taken the candidate off."""
    if facts.epoch != state.epoch:
        return state, Decision(Verb.HOLD, "rolling back: not every gateway has followed")
    ended = replace(state, phase=Phase.ROLLED_BACK)
    return ended, Decision(Verb.FINISH, f"rolled back: {state.reason}")


def _stage(state: Rollout, facts: Facts, policy: Policy) -> tuple[Rollout, Decision]:
    incident = _find_incident(state, facts)
    if incident is not None:
        return incident
    fault = _find_fault(state, facts)
    if fault:
        held = replace(state, unseen=state.unseen + 1)
        if state.phase is not Phase.PAUSED:  # a pause keeps its own reason
            held = replace(held, phase=Phase.HOLDING, reason=fault)
        return held, Decision(Verb.HOLD, fault)
    return _judge(replace(state, unseen=0), facts, policy)


def _find_fault(state: Rollout, facts: Facts) -> str:
    """Say why a tick cannot be used; what is missing never counts as good."""
    return facts.fault or _find_lag(state, facts)


def _find_lag(state: Rollout, facts: Facts) -> str:
    """Say that not every gateway serves as this state says; empty where each does."""
    if facts.epoch == state.epoch:
        return ""
    return f"the gateways serve under epoch {facts.epoch}, the rollout is at {state.epoch}"


def _find_soak_fault(state: Rollout, facts: Facts) -> str:
    """Say why a tick of the soak cannot be used; there, no champion is to be seen."""
    if facts.candidate is None:
        return facts.missing or "counters could not be read"
    fault = facts.candidate.fault
    return f"candidate: {fault}" if fault else _find_lag(state, facts)


def _find_incident(state: Rollout, facts: Facts) -> tuple[Rollout, Decision] | None:
    """Tell the candidate's own failure from one that both arms share."""
    alarm = facts.champion_alarm
    if alarm >= breaker.THRESHOLD or (facts.tripped and not alarm < 0):
        if state.phase is Phase.FROZEN:
            return state, Decision(Verb.HOLD, SHARED)
        back = Phase.PAUSED if state.phase is Phase.PAUSED else Phase.HOLDING
        frozen = replace(state, phase=Phase.FROZEN, epoch=state.epoch + 1, thaws_to=back)
        return replace(frozen, reason=SHARED), Decision(Verb.FREEZE, SHARED, "breaker")
    if facts.tripped:
        return roll_back(state, "its breaker opened while the champion was quiet", "breaker")
    if state.phase is Phase.FROZEN:
        if facts.champion is None or not alarm < 0:
            return state, Decision(Verb.HOLD, SHARED)
        thawed = replace(state, phase=state.thaws_to, epoch=state.epoch + 1)
        return thawed, Decision(Verb.THAW, "the champion is quiet again")
    return None


def _judge(state: Rollout, facts: Facts, policy: Policy) -> tuple[Rollout, Decision]:
    """Take the block in, then ask the roll-back tests, and only then what would let it on."""
    candidate, champion = facts.candidate or Arm(), facts.champion or Arm()
    paused = state.phase is Phase.PAUSED
    seen = observe(state.seen, candidate, champion, policy, counting=not paused)
    state = replace(state, seen=seen)
    rejected = find_rejections(seen, policy)
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


def _judge_end(state: Rollout, facts: Facts, policy: Policy) -> tuple[Rollout, Decision]:
    """Go on where nothing is wanting; else hold, and say what is."""
    stage, blocks = policy.stages[state.stage], state.seen.blocks
    wants = list(list_wants(state, facts, policy))
    if not wants:
        reason = f"{stage.name}: proved within its limits in {blocks} blocks"
        return advance(state, policy), Decision(Verb.GO_ON, reason)
    reason = "; ".join(want.words for want in wants)
    late = blocks >= policy.count_blocks(stage.max)
    if late and stage.on_max == "roll_back":
        return roll_back(state, f"{stage.name}: not proved in {blocks} blocks: {reason}", "on_max")
    holds = late or any(want.holds for want in wants)
    phase = Phase.HOLDING if holds else name_moving(stage)
    return replace(state, phase=phase, reason=reason), Decision(Verb.HOLD, reason)


def _soak(state: Rollout, facts: Facts, policy: Policy) -> tuple[Rollout, Decision]:
    """Watch the candidate at full traffic; there is no champion beside it."""
    arm, soak, fault = facts.candidate, state.soak, _find_soak_fault(state, facts)
    if fault or soak is None or arm is None:
        missed = replace(state, unseen=state.unseen + 1, reason=fault)
        return missed, Decision(Verb.HOLD, f"soak: {fault}")
    if arm.requests <= 0:
        return replace(state, unseen=0), Decision(Verb.HOLD, "soak: no traffic")
    soak = _sound_alarms(soak, arm)
    state = replace(state, soak=soak, unseen=0)
    for name, alarm in soak.alarms.items():
        if bool(alarm.is_raised):
            return roll_back(state, f"{name}: beyond its frozen limit in the soak", name)
    wanted = policy.count_blocks(policy.soak)
    if soak.blocks < wanted:
        return state, Decision(Verb.HOLD, f"soak: block {soak.blocks} of {wanted}")
    done = replace(state, phase=Phase.DONE, reason="promoted")
    return done, Decision(Verb.FINISH, f"promoted after {wanted} blocks of soak")


def _sound_alarms(soak: Soak, arm: Arm) -> Soak:
    counts = {"error_rate": arm.failures, "guardrail": arm.guardrails}
    if soak.limit is not None:
        counts["latency_double"] = count_overruns(arm.latencies, arm.failures, soak.limit)
    alarms = {name: soak.alarms[name].update(arm.requests, k) for name, k in counts.items()}
    return Soak(alarms, soak.limit, soak.blocks + 1)
