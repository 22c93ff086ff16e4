"""One rollout over two real gateways: followed, agreed, summed; one killed; the store away."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from deltalake import DeltaTable

from sluice.rollout.assignment import hash_unit, place_of
from support.gateway.callers import run_load
from support.gateway.models import write_towns
from support.gateway.site import Running, Site, run_gateway, wait_until
from support.rollouts.beside import Beside
from support.rollouts.live import TOWNS, Live, run_live

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SERVICE = "doubled"
GOOD = {"size": 1.0, "town": "ayr", "here": True}
AWAY_SECONDS, FOLLOW_SECONDS = 30.0, 2.0
LOCK = """
import sqlite3, sys, time
store = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
store.execute("PRAGMA locking_mode = EXCLUSIVE")
store.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
store.execute("ROLLBACK")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("doubled"))
    site.serve(SERVICE, write_towns(tmp_path_factory.mktemp("towns")).folder)
    return site


@pytest.fixture(scope="module")
def live(api: str, site: Site) -> Iterator[Live]:
    route = {"lease_ttl": 6.0}
    with run_live(site.home.root, SERVICE, TOWNS, route=route) as live:
        yield live


@pytest.fixture(scope="module")
def pair(site: Site, live: Live) -> Iterator[list[Running]]:
    """Two replicas of one site; the second one's log-writer serves both."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        left = stack.enter_context(run_gateway(site, name="left"))
        right = stack.enter_context(run_gateway(site, "--no-fetcher", name="right"))
        patch.setenv("SLUICE_GATEWAY_URLS", f"{left.address},{right.address}")
        yield [left, right]


def read_epoch(replica: Running) -> int:
    try:
        found = replica.ask("/v1/counters", seconds=5).json["services"][SERVICE]
        return int(found["epoch"])
    except (OSError, LookupError):
        return 0


@contextmanager
def watch_following(live: Live, replicas: list[Running]) -> Iterator[list[float]]:
    """Collect how long each replica took to follow each change of the route."""
    lags: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        seen: dict[int, float] = {}
        followed: set[tuple[int, int]] = set()
        while not ended.wait(0.05):
            route = live.control.routes.find(SERVICE)
            assert route is not None
            seen.setdefault(route.epoch, time.monotonic())
            for place, replica in enumerate(replicas):
                epoch = read_epoch(replica)
                if epoch in seen and (place, epoch) not in followed:
                    followed.add((place, epoch))
                    lags.append(time.monotonic() - seen[epoch])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lags
    finally:
        ended.set()
        thread.join()


def count_answers(site: Site, epoch: int) -> Counter[str]:
    """Count what the traffic log has under an epoch, by arm."""
    table = DeltaTable(str(site.home.answers(SERVICE))).to_pyarrow_table(columns=["arm", "epoch"])
    rows = zip(table["arm"].to_pylist(), table["epoch"].to_pylist(), strict=True)
    return Counter(arm for arm, under in rows if under == epoch)


def count_decided(live: Live, epoch: int) -> Counter[str]:
    """Count the requests that the decisions under an epoch were made on, by arm."""
    counts: Counter[str] = Counter()
    for record in live.read_log()[1:]:
        for arm in ("candidate", "champion"):
            facts = record["facts"]
            if facts[arm] and facts["epoch"] == epoch and not facts["missing"]:
                counts[arm] += int(facts[arm]["requests"])
    return counts


def test_two_replicas_follow_agree_and_are_summed(
    live: Live, site: Site, pair: list[Running]
) -> None:
    live.reset()
    with watch_following(live, pair) as lags:
        with run_load([replica.port for replica in pair], SERVICE, pause=0.01) as load:
            beside = Beside(live.roll)
            rollout = live.await_rollout(lambda found: "approval" in found.state.reason)
            assert rollout.state.phase.value == "holding"
            wait_until(lambda: {read_epoch(item) for item in pair} == {rollout.state.epoch})
            units = [f"unit {number}" for number in range(60)]
            arms = [
                [item.predict(GOOD, SERVICE, unit=unit).json["arm"] for unit in units]
                for item in pair
            ]
        live.await_ticks(3)
        epoch = rollout.state.epoch
        wait_until(lambda: count_answers(site, epoch) == count_decided(live, epoch))
        with run_load([replica.port for replica in pair], SERVICE, pause=0.01) as more:
            live.give("approve")
            assert beside.end().result().phase == "done"
            wait_until(
                lambda: len(lags) >= 2 * 4
            )  # shadow, canary, soak, end of the soak's candidate
    places = [place_of(rollout.salt, hash_unit(unit)) for unit in units]
    by_rule = ["candidate" if place < 0.25 else "champion" for place in places]
    assert arms == [by_rule, by_rule]
    assert load.statuses | more.statuses == {200}
    assert (load.broken, more.broken) == (0, 0)
    assert sorted(lags)[len(lags) // 2] <= FOLLOW_SECONDS
    live.check_log()


def test_with_one_of_two_replicas_killed_it_holds_and_the_champion_serves(
    live: Live, site: Site, pair: list[Running]
) -> None:
    live.reset()
    left, right = pair
    with run_load([right.port], SERVICE, pause=0.01) as load:
        beside = Beside(live.roll)
        live.await_rollout(lambda rollout: "approval" in rollout.state.reason)
        left.kill()
        held = live.await_rollout(lambda rollout: "1 of 2 replicas answer" in rollout.state.reason)
        assert held.state.stage == 1
        live.give("approve")
        live.await_rollout(lambda rollout: not rollout.state.renews)
        before = len(load.replies)
        wait_until(lambda: len(load.replies) > before + 30)
        wait_until(lambda: {item.body["arm"] for item in load.replies[-20:]} == {"none"})
        assert {item.body["version"] for item in load.replies[-20:]} == {1}
        assert live.find_rollout().state.stage == 1  # type: ignore[union-attr]
        with run_gateway(site, name="left", port=left.port):
            state = beside.end()
    assert state.result().phase == "done", state.message
    assert load.statuses == {200}
    assert (load.broken, load.refused) == (0, 0)
    live.check_log()


def test_while_the_store_is_away_the_champion_serves_and_the_rollout_then_goes_on(
    live: Live, site: Site, pair: list[Running]
) -> None:
    live.reset()
    right = pair[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_GATEWAY_URLS", right.address)
        with run_load([right.port], SERVICE, pause=0.05) as load:
            beside = Beside(live.roll)
            live.await_rollout(lambda rollout: "approval" in rollout.state.reason)
            left = live.await_ticks(1)
            store = str(site.home.root / "control.db")
            command = [sys.executable, "-c", LOCK, store, str(AWAY_SECONDS)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as locker:
                assert locker.stdout is not None
                assert locker.stdout.readline() == "locked\n"
                wait_until(lambda: {item.body["arm"] for item in load.replies[-20:]} == {"none"})
            went_on = live.await_rollout(lambda rollout: rollout.tick > left.tick + 2)
            assert went_on.number == left.number
            live.give("approve")
            state = beside.end()
    assert state.result().phase == "done", state.message
    assert load.statuses == {200}
    assert (load.broken, load.refused) == (0, 0)
    live.check_log(left.number)
