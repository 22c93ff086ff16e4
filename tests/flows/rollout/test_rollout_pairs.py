"""Two rollouts of a service, a release or a restore beside one, and an incident of both arms."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.gateway.replica import Behaviour, TrafficReplica
from support.rollouts.beside import Beside, run_replica
from support.rollouts.live import Live, register_versions, run_live
from support.servers.stack import ask, await_answer

pytestmark = pytest.mark.slow

SERVICE = "paired"
SLOW, FAST = 20.0, 4000.0


@pytest.fixture(scope="module")
def live(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with run_live(tmp_path_factory.mktemp("paired"), SERVICE, versions=4) as live:
        yield live


@pytest.fixture(scope="module")
def counted(live: Live) -> Iterator[TrafficReplica]:
    with run_replica(live.control, SERVICE) as replica:
        yield replica


@pytest.fixture
def replica(live: Live, counted: TrafficReplica) -> TrafficReplica:
    live.reset()
    counted.behaviour = Behaviour(rate=SLOW)
    return counted


def count_events() -> dict[str, int]:
    """Count the service's events by their name."""
    from prefect.events.filters import EventFilter, EventResourceFilter

    wanted = EventFilter(resource=EventResourceFilter(id=[f"sluice.service.{SERVICE}"]))
    found = ask(lambda client: client.read_events(wanted, limit=50)).events
    names = [item.event for item in found]
    return {name: names.count(name) for name in names}


def restore(version: int) -> Any:
    from flows.restore import restore

    return restore(SERVICE, version=version, reason="a test", by="Ada", return_state=True)


def test_an_incident_of_both_arms_is_reported_and_ends_in_promotion(
    live: Live, replica: TrafficReplica
) -> None:
    beside = Beside(live.roll)
    live.await_phase("shadow")
    assert live.steer("skip").is_completed()
    live.await_phase("canary")
    replica.behave(tripped=True, alarm=12.0, errors={1: 0.5, 2: 0.5})
    frozen = live.await_phase("frozen")
    assert "the candidate is not the cause" in frozen.state.reason
    route = live.control.routes.find(SERVICE)
    assert route is not None
    assert (route.champion, route.candidate, route.weight) == (1, 2, 0.0)
    live.await_ticks(3)
    assert "the candidate is not the cause" in live.await_page("**frozen**")
    replica.behave(tripped=False, alarm=-3.0, errors={})
    live.await_rollout(lambda rollout: rollout.state.phase.value != "frozen")
    replica.behave(rate=FAST)
    assert beside.end().result().phase == "done"
    live.check_log()
    assert await_answer(lambda: count_events().get("rollout.promoted"), 60)
    events = count_events()
    assert (events["rollout.frozen"], events["rollout.thawed"]) == (1, 1)
    assert "rollout.rolling-back" not in events


def test_a_second_rollout_waits_for_the_first_and_then_runs(
    live: Live, replica: TrafficReplica
) -> None:
    first = Beside(live.roll)
    live.await_phase("shadow")
    second = Beside(live.roll, version=3)
    live.await_ticks(10)
    assert [item.candidate for item in live.control.rollouts.list_open()] == [2]
    replica.behave(rate=FAST)
    assert first.end().result().phase == "done"
    assert second.end().result().phase == "done"
    one, other = live.control.rollouts.list_rollouts(SERVICE)[-2:]
    assert (one.candidate, other.champion, other.candidate) == (2, 2, 3)
    ended = live.control.rollouts.read_log(SERVICE, one.number)[-1][0]
    began = live.control.rollouts.read_log(SERVICE, other.number)[0][0]
    assert ended <= began
    assert live.aliases() == {"champion": 3, "previous": 2}


def test_a_release_beside_a_rollout_waits_as_candidate_for_the_next(
    live: Live, replica: TrafficReplica
) -> None:
    from flows.promote import promote

    beside = Beside(live.roll)
    live.await_phase("shadow")
    register_versions(live.registry, SERVICE, 1)
    newest = live.aliases()["candidate"]
    assert newest > 4
    for refused in (promote(SERVICE, return_state=True), restore(3)):
        words = "RolloutRefused: paired: a rollout of v2 is under way"
        assert str(refused.message).startswith(words)
    replica.behave(rate=FAST)
    assert beside.end().result().version == 2
    assert live.aliases() == {"champion": 2, "candidate": newest, "previous": 1}
    assert live.roll().result().version == newest
    assert live.aliases() == {"champion": newest, "previous": 2}


def test_a_version_three_back_serves_at_once_and_its_rollout_can_begin_again(
    live: Live, replica: TrafficReplica
) -> None:
    assert restore(4).is_completed()
    assert restore(1).is_completed()
    assert live.aliases() == {"champion": 1, "candidate": 2, "previous": 4}
    route = live.control.routes.find(SERVICE)
    assert route is not None
    assert (route.champion, route.candidate) == (1, None)
    replica.behave(rate=FAST)
    assert live.roll(version=4).result().phase == "done"
    assert live.aliases() == {"champion": 4, "candidate": 2, "previous": 1}
