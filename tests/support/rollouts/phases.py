"""Rollouts that are left in a given phase, without a controller."""

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
"""The phase after a command, from any phase; `approve` does not change it."""
ENDED_BY = {
    Phase.DONE: Action.PROMOTE,
    Phase.ABORTED: Action.ABORT,
    Phase.ROLLED_BACK: Action.ROLL_BACK,
}
"""The command that leads from the first stage to each end."""
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
    """Return a phase or a command as part of a test's name."""
    return value.value.replace(" ", "-")


def leave_at(live: Live, phase: Phase) -> RolloutRecord:
    """Leave a rollout at a phase, without a controller."""
    lease, rollout = live.begin()
    if phase is not Phase.PENDING:
        rollout = live.advance(lease, rollout)
    for way in LEADS[phase]:
        rollout = _follow(live, lease, rollout, way)
    assert rollout.state.phase is phase
    assert live.control.leases.release(live.control.leases.find(live.service, lease.purpose))
    return rollout


def give_ends(live: Live) -> list[int]:
    """Give a rollout both commands that end it in any phase; return the commands' numbers."""
    return [live.give(action.value) for action in (Action.ABORT, Action.ROLL_BACK)]


def _follow(live: Live, lease: Lease, rollout: RolloutRecord, way: Action | Facts) -> RolloutRecord:
    if isinstance(way, Facts):
        return live.advance(lease, rollout, way)
    return live.advance(lease, rollout, command=way)


def say_refusal(phase: Phase, action: Action) -> str:
    """Return the message by which a command is refused in a phase."""
    allowed = ", ".join(sorted(ALLOWED[action]))
    return f"{action}: the rollout is {phase}; allowed while it is {allowed}"
