"""The commands that a person may give, and why one makes no sense where the rollout is."""

from collections.abc import Iterator

from serving.page.view import Choice
from sluice.rollout.course import Course
from sluice.rollout.phases import ALLOWED, Action, Phase

MEANINGS = {
    Action.PAUSE: "Keeps the weight. The tests go on and can still roll back.",
    Action.RESUME: "Goes on after a pause; a rule that caused it is waived for this stage.",
    Action.SKIP: "Enters the next stage without the proof that this one asks for.",
    Action.APPROVE: "Says the yes that this stage asks for.",
    Action.PROMOTE: "Gives the candidate all traffic now, without the stages that are left.",
    Action.ROLL_BACK: "Gives the champion all traffic; the candidate has failed.",
    Action.ABORT: "Ends the rollout; the champion serves, the candidate is not blamed.",
}


def list_choices(course: Course | None, missing: str) -> Iterator[Choice]:
    """Give every command as it stands towards a rollout; `missing` says why there is none."""
    for action, meaning in MEANINGS.items():
        why_not = _say_why_not(action, course) if course else missing
        yield Choice(action.value, meaning, why_not)


def _say_why_not(action: Action, course: Course) -> str:
    phase = course.state.phase
    if phase in ALLOWED[action]:
        return _say_not_asked(course) if action is Action.APPROVE else ""
    if action is Action.RESUME:
        return "it is not paused"
    return "it is paused already" if phase is Phase.PAUSED else f"not while it is {phase}"


def _say_not_asked(course: Course) -> str:
    """Say why no approval is asked for; empty where one is."""
    if not course.policy.stages[course.state.stage].approve:
        return "this stage asks for no approval"
    return "this stage is approved already" if course.state.approved else ""
