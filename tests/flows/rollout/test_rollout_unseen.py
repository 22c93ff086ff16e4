"""A rollout holds, with the reason, while traffic, counters or replicas are missing."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.gateway.replica import Behaviour, TrafficReplica
from support.gateway.site import wait_until
from support.rollouts.beside import Beside
from support.rollouts.live import Live, run_live

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SERVICE = "unseen"
TICKS = 8
"""More than the stage's `min`, and more than the ticks after which the lease is left to lapse."""


@pytest.fixture(scope="module")
def live(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with run_live(tmp_path_factory.mktemp("unseen"), SERVICE) as live:
        yield live


@pytest.fixture(scope="module")
def pair(live: Live) -> Iterator[list[TrafficReplica]]:
    with (
        TrafficReplica(live.control, SERVICE) as one,
        TrafficReplica(live.control, SERVICE, seed=2) as other,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SLUICE_GATEWAY_URLS", f"{one.address},{other.address}")
        yield [one, other]


@pytest.fixture
def replicas(live: Live, pair: list[TrafficReplica]) -> list[TrafficReplica]:
    live.reset()
    for replica in pair:
        replica.behaviour = Behaviour(rate=10.0)
    return pair


@pytest.mark.parametrize(
    ("trouble", "count", "reason"),
    [
        ({"rate": 0.0}, 2, "no traffic"),
        ({"only": "champion", "rate": 2000.0}, 2, "no candidate traffic"),
        ({"only": "candidate", "rate": 2000.0}, 2, "no champion traffic"),
        ({"broken": "nan", "rate": 2000.0}, 1, "requests is nan"),
        ({"status": 500, "rate": 2000.0}, 1, "1 of 2 replicas answer"),
        ({"status": 500, "rate": 2000.0}, 2, "0 of 2 replicas answer"),
    ],
    ids=["none", "champion-only", "candidate-only", "nan", "half", "all-away"],
)
def test_it_holds_with_the_reason_and_continues_when_nothing_is_missing(
    live: Live, replicas: list[TrafficReplica], trouble: dict[str, Any], count: int, reason: str
) -> None:
    beside = Beside(live.roll)
    live.await_phase("shadow")
    assert live.steer("skip").is_completed()
    live.await_phase("canary")
    for replica in replicas[:count]:
        replica.behave(**trouble)
    first = live.await_rollout(lambda rollout: reason in rollout.state.reason)
    last = live.await_ticks(TICKS)
    assert (last.state.stage, last.state.epoch) == (1, first.state.epoch)
    held = [item for item in live.read_log() if first.tick <= item["tick"] < last.tick]
    assert {item["decision"] for item in held} == {"hold"}
    assert reason in live.await_page(reason)
    for replica in replicas:
        replica.behaviour = Behaviour(rate=2000.0)
    state = beside.end()
    assert state.result().phase == "done", state.message
    live.check_log()


def test_a_tick_in_which_a_counter_went_back_is_not_counted(
    live: Live, replicas: list[TrafficReplica]
) -> None:
    beside = Beside(live.roll)
    live.await_phase("shadow")
    assert live.steer("skip").is_completed()
    live.await_ticks(2)
    replicas[0].behave(broken="back")
    wait_until(lambda: any("went back by" in item.get("reason", "") for item in live.read_log()))
    held = [item for item in live.read_log()[1:] if "went back by" in item["reason"]]
    assert {(item["decision"], item["facts"]["candidate"]) for item in held} == {("hold", None)}
    for replica in replicas:
        replica.behave(rate=2000.0)
    assert beside.end().result().phase == "done"
    live.check_log()


def test_a_restarted_worker_is_counted_from_zero_and_never_twice(
    live: Live, replicas: list[TrafficReplica]
) -> None:
    beside = Beside(live.roll)
    live.await_phase("shadow")
    assert live.steer("skip").is_completed()
    live.await_ticks(2)
    replicas[0].restart()
    live.await_ticks(4)
    for replica in replicas:
        replica.behave(rate=2000.0)
    assert beside.end().result().phase == "done"
    arms = [
        item["facts"][arm] for item in live.check_log()[1:] for arm in ("candidate", "champion")
    ]
    assert all(arm["requests"] >= 0 for arm in arms if arm)
    counted = sum(arm["requests"] for arm in arms if arm)
    assert counted <= sum(replica.drawn for replica in replicas)
