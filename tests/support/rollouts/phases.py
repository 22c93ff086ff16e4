"""Rollouts left in a phase of a test's choice, without a controller."""

from sluice.control.lease import Lease
from sluice.rollout.facts import Facts
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import ALLOWED, FINAL, Action, Phase
from support.rollouts.live import Live

RUNNING = [phase for phase in Phase if phase not in FINAL]
OBEYED = [(phase, action) for phase in RUNNING for action in Action if phase in ALLOWED[action]]
AFTER = {
    Action.ABORT: Phase.ABORTED,
    Action.ROLL_BACK: Phase.ROLLING_BACK,
    Action.PROMOTE: Phase.SOAK,
    Action.PAUSE: Phase.PAUSED,
    Action.RESUME: Phase.CANARY,
    Action.SKIP: Phase.CANARY,
}
"""The phase that a command leads to, from any; `approve` leaves it as it is."""
ENDED_BY = {
    Phase.DONE: Action.PROMOTE,
    Phase.ABORTED: Action.ABORT,
    Phase.ROLLED_BACK: Action.ROLL_BACK,
}
"""The command that leads to each end from the first stage."""
LEADS: dict[Phase, list[Action | Facts]] = {
    Phase.PENDING: [],
    Phase.SHADOW: [],
    Phase.CANARY: [Action.SKIP],
    Phase.HOLDING: [Action.SKIP, Facts(missing="a replica is away")],
    Phase.FROZEN: [Action.SKIP, Facts(tripped=True, champion_alarm=12.0)],
    Phase.PAUSED: [Action.SKIP, Action.PAUSE],
    Phase.SOAK: [Action.PROMOTE],
    Phase.ROLLING_BACK: [Action.SKIP, Action.ROLL_BACK],
}


def name_value(value: Phase | Action) -> str:
    """Give how a phase or a command stands in a test's name."""
    return value.value.replace(" ", "-")


def leave_at(live: Live, phase: Phase) -> RolloutRecord:
    """Leave a rollout at a phase, without a controller."""
    lease, course = live.begin()
    if phase is not Phase.PENDING:
        course = live.advance(lease, course)
    for way in LEADS[phase]:
        course = _follow(live, lease, course, way)
    assert course.state.phase is phase
    assert live.control.leases.release(live.control.leases.find(live.service, lease.purpose))
    return course


def give_ends(live: Live) -> list[int]:
    """Put to a rollout what ends it wherever it is; give the commands' numbers."""
    return [live.give(word.value) for word in (Action.ABORT, Action.ROLL_BACK)]


def _follow(live: Live, lease: Lease, course: RolloutRecord, way: Action | Facts) -> RolloutRecord:
    if isinstance(way, Facts):
        return live.advance(lease, course, way)
    return live.advance(lease, course, command=way)


def say_refusal(phase: Phase, action: Action) -> str:
    """Give the words by which a command is refused in a phase."""
    where = ", ".join(sorted(ALLOWED[action]))
    return f"{action}: the rollout is {phase}; allowed where it is {where}"
