"""Every command in every phase, given to the real controller: obeyed, or refused with a reason."""

from collections.abc import Iterator

import pytest

from sluice.errors import CommandRefused
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import ALLOWED, Action, Phase
from support.gateway.replica import Behaviour, TrafficReplica
from support.rollouts.beside import Beside, run_replica
from support.rollouts.live import Live, run_live
from support.rollouts.phases import (
    AFTER,
    ENDED_BY,
    OBEYED,
    RUNNING,
    give_ends,
    leave_at,
    name_value,
    say_refusal,
)

pytestmark = pytest.mark.slow

SERVICE = "steered"


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


@pytest.mark.parametrize(("phase", "action"), OBEYED, ids=name_value)
def test_a_command_is_obeyed_where_it_makes_sense(
    live: Live, replica: TrafficReplica, phase: Phase, action: Action
) -> None:
    left = leave_at(live, phase)
    given = live.give(action.value)
    ends = give_ends(live)
    live.roll(resume=True)
    assert live.answer(given) == ("obey", f"{action} (Ada: a test)")
    records = live.check_log(left.number)
    assert records[left.tick]["command"]["action"] == action.value
    assert records[left.tick]["phase"] == AFTER.get(action, phase).value
    assert all(live.answer(end)[0] for end in ends)


@pytest.mark.parametrize("phase", RUNNING, ids=name_value)
def test_other_commands_are_refused_and_change_nothing(
    live: Live, replica: TrafficReplica, phase: Phase
) -> None:
    left = leave_at(live, phase)
    refused = {action: live.give(action.value) for action in Action if phase not in ALLOWED[action]}
    give_ends(live)
    live.roll(resume=True)
    for action, given in refused.items():
        assert live.answer(given) == ("refuse", say_refusal(phase, action))
    records = live.check_log(left.number)[left.tick : left.tick + len(refused)]
    assert [record["decision"] for record in records] == ["refuse"] * len(refused)
    assert {record["phase"] for record in records} <= {phase.value}
    assert {record["epoch"] for record in records} <= {left.state.epoch}


@pytest.mark.parametrize("phase", sorted(ENDED_BY))
def test_after_its_end_every_command_is_refused(
    live: Live, replica: TrafficReplica, phase: Phase
) -> None:
    beside = Beside(live.roll)
    live.await_phase("shadow")
    assert live.steer(ENDED_BY[phase].value).is_completed()
    beside.end()
    assert live.control.rollouts.list_rollouts(SERVICE)[-1].state.phase is phase
    for action in Action:
        with pytest.raises(CommandRefused, match=f"{action}: no rollout of steered is under way"):
            live.give(action.value)


def count_tested(rollout: RolloutRecord) -> float:
    """The candidate's requests in the test of errors so far."""
    return float(rollout.state.observation.evidence["error_margin"].rollback.requests)


def test_a_paused_rollout_is_still_tested_and_rolled_back(
    live: Live, replica: TrafficReplica
) -> None:
    beside = Beside(live.roll)
    live.await_phase("shadow")
    assert live.steer("skip").is_completed()
    assert live.steer("pause").is_completed()
    paused = live.await_phase("paused")
    assert count_tested(paused) == 0, "too few requests for a test yet"
    replica.behave(rate=2000.0)
    tested = live.await_rollout(lambda rollout: count_tested(rollout) > 0)
    assert tested.state.phase is Phase.PAUSED
    assert tested.state.observation.blocks == paused.state.observation.blocks
    replica.behave(errors={2: 0.4})
    state = beside.end()
    assert state.message.startswith("RolloutRolledBack: error_")
    rolled = next(item for item in live.check_log() if item.get("decision") == "roll back")
    assert rolled["command"] is None
    assert live.aliases() == {"champion": 1}


def test_a_command_without_a_reason_is_refused(live: Live, replica: TrafficReplica) -> None:
    beside = Beside(live.roll)
    live.await_phase("shadow")
    message = live.steer("pause", reason=" ").message
    assert "reason: String should match pattern" in message, "the form's own rule"
    assert live.steer("abort").is_completed()
    beside.end()
