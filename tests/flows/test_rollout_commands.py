"""Every command in every phase, put to the real controller: obeyed, or refused with where it is."""

from collections.abc import Iterator

import pytest

from beside_support import Beside, run_replica
from live_support import Live, run_live
from replica_support import Behaviour, TrafficReplica
from sluice.control.lease import Lease
from sluice.errors import CommandRefused
from sluice.rollout.course import Course
from sluice.rollout.facts import Facts
from sluice.rollout.phases import ALLOWED, FINAL, Action, Phase

pytestmark = pytest.mark.slow

SERVICE = "steered"
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


@pytest.fixture(scope="module")
def live(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with run_live(tmp_path_factory.mktemp("steered"), SERVICE) as live:
        yield live


@pytest.fixture(scope="module")
def counted(live: Live) -> Iterator[TrafficReplica]:
    with run_replica(live.control, SERVICE) as replica:
        yield replica


@pytest.fixture
def replica(live: Live, counted: TrafficReplica) -> TrafficReplica:
    live.reset()
    counted.behaviour = Behaviour(rate=20.0)
    return counted


def leave_at(live: Live, phase: Phase) -> Course:
    """Leave a rollout at a phase, without a controller."""
    lease, course = live.begin()
    if phase is not Phase.PENDING:
        course = live.advance(lease, course)
    for way in LEADS[phase]:
        course = follow(live, lease, course, way)
    assert course.state.phase is phase
    assert live.control.leases.release(live.control.leases.find(SERVICE, lease.purpose))
    return course


def follow(live: Live, lease: Lease, course: Course, way: Action | Facts) -> Course:
    if isinstance(way, Facts):
        return live.advance(lease, course, way)
    return live.advance(lease, course, command=way)


@pytest.mark.parametrize(
    ("phase", "action"), OBEYED, ids=lambda value: value.value.replace(" ", "-")
)
def test_a_command_is_obeyed_where_it_makes_sense(
    live: Live, replica: TrafficReplica, phase: Phase, action: Action
) -> None:
    left = leave_at(live, phase)
    given = live.give(action.value)
    ends = [live.give(word) for word in ("abort", "roll back")]
    live.roll(resume=True)
    assert live.answer(given) == ("obey", f"{action} (Ada: a test)")
    records = live.check_log(left.number)
    assert records[left.tick]["command"]["action"] == action.value
    assert records[left.tick]["phase"] == AFTER.get(action, phase).value
    assert all(live.answer(end)[0] for end in ends)


@pytest.mark.parametrize("phase", RUNNING, ids=lambda phase: phase.value.replace(" ", "-"))
def test_other_commands_are_refused_and_change_nothing(
    live: Live, replica: TrafficReplica, phase: Phase
) -> None:
    left = leave_at(live, phase)
    refused = {action: live.give(action.value) for action in Action if phase not in ALLOWED[action]}
    for word in ("abort", "roll back"):
        live.give(word)
    live.roll(resume=True)
    for action, given in refused.items():
        where = ", ".join(sorted(ALLOWED[action]))
        words = f"{action}: the rollout is {phase}; allowed where it is {where}"
        assert live.answer(given) == ("refuse", words)
    records = live.check_log(left.number)[left.tick : left.tick + len(refused)]
    assert [record["decision"] for record in records] == ["refuse"] * len(refused)
    assert {record["phase"] for record in records} <= {phase.value}
    assert {record["epoch"] for record in records} <= {left.state.epoch}


@pytest.mark.parametrize("phase", sorted(FINAL))
def test_after_its_end_every_command_is_refused(
    live: Live, replica: TrafficReplica, phase: Phase
) -> None:
    word = {Phase.DONE: "promote now", Phase.ABORTED: "abort"}.get(phase, "roll back")
    beside = Beside(live.roll)
    live.await_phase("shadow")
    assert live.steer(word).is_completed()
    beside.end()
    assert live.control.rollouts.list_rollouts(SERVICE)[-1].state.phase is phase
    for action in Action:
        with pytest.raises(CommandRefused, match=f"{action}: no rollout of steered is under way"):
            live.give(action.value)


def count_tested(course: Course) -> float:
    """The candidate's requests that the test of errors has weighed."""
    return float(course.state.seen.evidence["error_margin"].rollback.requests)


def test_while_paused_the_tests_go_on_and_roll_back(live: Live, replica: TrafficReplica) -> None:
    beside = Beside(live.roll)
    live.await_phase("shadow")
    assert live.steer("skip").is_completed()
    assert live.steer("pause").is_completed()
    paused = live.await_phase("paused")
    assert count_tested(paused) == 0, "so few requests tell nothing yet"
    replica.behave(rate=2000.0)
    tested = live.await_course(lambda course: count_tested(course) > 0)
    assert tested.state.phase is Phase.PAUSED
    assert tested.state.seen.blocks == paused.state.seen.blocks
    replica.behave(errors={2: 0.4})
    state = beside.end()
    assert state.message.startswith("RolloutRolledBack: error_")
    rolled = next(item for item in live.check_log() if item.get("decision") == "roll back")
    assert rolled["command"] is None
    assert live.aliases() == {"champion": 1}


def test_what_names_nobody_or_no_reason_is_refused(live: Live, replica: TrafficReplica) -> None:
    beside = Beside(live.roll)
    live.await_phase("shadow")
    told = live.steer("pause", why=" ").message
    assert "reason: String should match pattern" in told, "the form's own rule"
    assert live.steer("abort").is_completed()
    beside.end()
