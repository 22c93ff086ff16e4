"""What a person's command does to a rollout, and where it is refused."""

from dataclasses import replace

from sluice.config.policy import Policy
from sluice.rollout.observation import find_rejections
from sluice.rollout.phases import ALLOWED, Action, Command, Decision, Phase, Verb
from sluice.rollout.state import Rollout
from sluice.rollout.transitions import go_on, name_moving, roll_back, take_over


def obey(state: Rollout, command: Command, policy: Policy) -> tuple[Rollout, Decision]:
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
        Action.SKIP: lambda: go_on(state, policy),
        Action.PROMOTE: lambda: take_over(state, policy),
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
