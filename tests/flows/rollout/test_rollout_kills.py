"""Controllers in processes of their own, killed or stopped in each phase, counted in the store."""

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from sluice.control.lease import Lease
from sluice.errors import ControlUnavailable
from sluice.rollout.record import RolloutRecord
from support.gateway.replica import Behaviour, TrafficReplica
from support.rollouts.beside import Beside, run_replica
from support.rollouts.live import POLICY, Apart, Live, run_live, watch_routes

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SERVICE = "killed"
SLOW, FAST = 20.0, 4000.0
WEIGHTS = {0.0, 0.25, 0.5}


@pytest.fixture(scope="module")
def live(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    text = POLICY.replace("soak: 0.6 s", "soak: 2 s")
    with run_live(tmp_path_factory.mktemp("killed"), SERVICE, text) as live:
        yield live


@pytest.fixture(scope="module")
def counted(live: Live) -> Iterator[TrafficReplica]:
    with run_replica(live.control, SERVICE) as replica:
        yield replica


@pytest.fixture
def replica(live: Live, counted: TrafficReplica) -> TrafficReplica:
    """A replica with little traffic, so that no stage ends by itself; v2 is the candidate."""
    live.reset()
    counted.behaviour = Behaviour(rate=SLOW)
    counted.weights.clear()
    return counted


@pytest.fixture(scope="module")
def spares(live: Live, counted: TrafficReplica) -> Iterator[list[Apart]]:
    """Controllers that have imported everything: the next one starts while a test runs."""
    waiting = [Apart(live)]
    yield waiting
    for apart in waiting:
        apart.kill()


@pytest.fixture
def apart(live: Live, replica: TrafficReplica, spares: list[Apart]) -> Iterator[Apart]:
    chosen = spares.pop()
    spares.append(Apart(live))
    yield chosen
    if chosen.process.poll() is None:
        chosen.kill()


def to_canary(live: Live, _: TrafficReplica) -> None:
    live.give("skip")
    live.await_phase("canary")


def to_holding(live: Live, replica: TrafficReplica) -> None:
    to_canary(live, replica)
    replica.behave(status=500)


def to_frozen(live: Live, replica: TrafficReplica) -> None:
    to_canary(live, replica)
    replica.behave(tripped=True, alarm=12.0)


def to_paused(live: Live, replica: TrafficReplica) -> None:
    to_canary(live, replica)
    live.give("pause")


def to_soak(live: Live, _: TrafficReplica) -> None:
    live.give("promote-now")


def to_rolling_back(live: Live, replica: TrafficReplica) -> None:
    to_canary(live, replica)
    replica.behave(status=500)
    live.give("roll-back")


def stay(_: Live, __: TrafficReplica) -> None:
    return


PHASES: dict[str, Callable[[Live, TrafficReplica], None]] = {
    "shadow": stay,
    "canary": to_canary,
    "holding": to_holding,
    "frozen": to_frozen,
    "paused": to_paused,
    "soak": to_soak,
    "rolling back": to_rolling_back,
}


def reach(live: Live, replica: TrafficReplica, phase: str) -> RolloutRecord:
    if phase != "pending":
        live.await_phase("shadow")
        PHASES[phase](live, replica)
    return live.await_phase(phase)


@pytest.mark.parametrize("phase", ["pending", *PHASES])
def test_a_killed_controllers_rollout_goes_on_from_the_same_phase(
    live: Live, replica: TrafficReplica, apart: Apart, phase: str
) -> None:
    with watch_routes(live) as shown:
        apart.begin()
        reach(live, replica, phase)
        apart.kill()
        left = live.find_rollout()
        assert left is not None
        assert left.state.phase.value == phase
        replica.behave(rate=FAST, status=200, tripped=False, alarm=-5.0)
        beside = Beside(live.roll, resume=True)
        if phase == "paused":
            live.await_rollout(lambda rollout: rollout.tick > left.tick)
            assert live.find_rollout().state.phase.value == "paused"  # type: ignore[union-attr]
            live.give("resume")
        state = beside.end()
    beaten = phase == "rolling back"
    assert state.is_failed() if beaten else state.result().phase == "done", state.message
    assert live.aliases() == ({"champion": 1} if beaten else {"champion": 2, "previous": 1})
    records = live.check_log(left.number)
    assert records[left.tick - 1].get("phase", "pending") == phase
    assert len(records) > left.tick
    assert set(replica.weights) <= WEIGHTS
    assert shown_above_the_stage(shown, records) == set()


def shown_above_the_stage(
    shown: set[tuple[int, float]], records: list[dict[str, object]]
) -> set[tuple[int, float]]:
    """Return the weights of the route that exceed the log's weight at the same epoch."""
    allowed = {record["epoch"]: record.get("weight", 0.0) for record in records}
    return {(epoch, weight) for epoch, weight in shown if weight > allowed.get(epoch, 0.0)}  # type: ignore[operator]


def test_a_controller_that_continues_after_it_was_replaced_changes_nothing(
    live: Live, replica: TrafficReplica, apart: Apart
) -> None:
    apart.begin()
    reach(live, replica, "canary")
    live.await_ticks(2)
    taken = stop_and_take_over(live, apart)
    kept = live.keep()
    apart.send(signal.SIGCONT)
    name, message = apart.end()
    assert name == "Failed"
    assert message.startswith("LeaseLost: the lease rollout of killed")
    assert live.keep() == kept
    live.control.leases.release(taken)
    replica.behave(rate=FAST)
    assert live.roll(resume=True).result().phase == "done"
    live.check_log()


def stop_and_take_over(live: Live, apart: Apart) -> Lease:
    """Stop the controller while it does not hold the store's lock, and take its lease."""
    while True:
        apart.send(signal.SIGSTOP)
        with suppress(ControlUnavailable):
            live.await_lapse()
            seen = live.control.leases.find(SERVICE, "rollout")
            taken = live.control.leases.take(seen, "another", 600.0)
            if taken:
                return taken
        apart.send(signal.SIGCONT)


def test_a_waiting_controller_continues_where_the_killed_one_was(
    live: Live, replica: TrafficReplica, apart: Apart
) -> None:
    apart.begin()
    left = reach(live, replica, "shadow")
    waits = Beside(live.roll)
    apart.kill()
    replica.behave(rate=FAST)
    assert waits.end().result().number == left.number
    live.check_log(left.number)


def test_two_that_resume_at_once_are_one_controller(
    live: Live, replica: TrafficReplica, apart: Apart
) -> None:
    apart.begin()
    left = reach(live, replica, "shadow")
    apart.kill()
    live.await_lapse()
    replica.behave(rate=FAST)
    ends = [beside.end() for beside in [Beside(live.roll, resume=True) for _ in range(2)]]
    names = {state.name for state in ends}
    assert "Completed" in names
    assert names <= {"Completed", "Skipped"}
    live.check_log(left.number)
