"""The rollout as a state machine: one pure step a tick, from facts to a decision."""

from dataclasses import replace

from sluice.config.policy import Policy
from sluice.rollout import breaker
from sluice.rollout.commands import obey
from sluice.rollout.facts import Arm, Facts
from sluice.rollout.latency import count_overruns
from sluice.rollout.observation import find_rejections, observe
from sluice.rollout.phases import Command, Decision, Phase, Verb
from sluice.rollout.state import Rollout, Soak
from sluice.rollout.transitions import enter_stage, go_on, name_moving, roll_back
from sluice.rollout.waiting import list_wants

SHARED = "the champion fails too: an incident that is not the candidate's"


def step(
    state: Rollout, facts: Facts, command: Command | None, policy: Policy
) -> tuple[Rollout, Decision]:
    """Decide one tick, or obey one command; a command is a step of its own and uses no facts.

    Facts that were seen under another epoch are not used: not every replica served as this state
    says.
    """
    if command is not None:
        return obey(state, command, policy)
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
        return _weigh_end(state, facts, policy)
    rule = rejected[0]
    reason = f"{rule.name}: beyond its limit; a person decides"
    held = replace(state, phase=Phase.PAUSED, reason=reason)
    return held, Decision(Verb.PAUSE, reason, rule.name)


def _weigh_end(state: Rollout, facts: Facts, policy: Policy) -> tuple[Rollout, Decision]:
    """Go on where nothing is wanting; else hold, and say what is."""
    stage, blocks = policy.stages[state.stage], state.seen.blocks
    wants = list(list_wants(state, facts, policy))
    if not wants:
        reason = f"{stage.name}: proved within its limits in {blocks} blocks"
        return go_on(state, policy), Decision(Verb.GO_ON, reason)
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
