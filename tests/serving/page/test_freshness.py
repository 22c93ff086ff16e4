"""What the page says when its facts are old: no ticks, no controller, no store."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from serving.page.reading import StoreCache
from sluice.adapters.control.store import Control, open_control
from sluice.home import Home
from sluice.rollout.state import Phase
from support.rollouts.page import run_page
from support.rollouts.store import StoredRollout


@pytest.fixture
def control(tmp_path: Path) -> Control:
    control = open_control(Home(tmp_path))
    control.prepare()
    return control


@pytest.fixture
def client(control: Control, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A page that reads the store at each request."""
    monkeypatch.setattr("serving.page.reading.FRESH_SECONDS", 0.0)
    with run_page(control) as client:
        yield client


def test_a_rollout_that_ticks_has_no_warning(client: httpx.Client, control: Control) -> None:
    rollout = StoredRollout(control, "town")
    rollout.tick(2)
    assert "No tick for" not in client.get("/services/town").text


def test_ticks_that_stopped_are_reported_at_once_until_one_comes(
    client: httpx.Client, control: Control
) -> None:
    rollout = StoredRollout(control, "town", opened=datetime.now(UTC) - timedelta(hours=1))
    rollout.tick(2)
    for place in ("/", "/services/town"):
        assert "No tick for 60 min: what is shown is old." in client.get(place).text
    rollout.tick()  # by a clock that is an hour behind
    for place in ("/", "/services/town"):
        assert "No tick for" not in client.get(place).text


def test_a_controller_that_released_its_lease_is_gone(
    client: httpx.Client, control: Control
) -> None:
    rollout = StoredRollout(control, "town")
    rollout.tick_to(Phase.SHADOW)
    rollout.end()
    text = client.get("/services/town").text
    assert "The controller is gone. v1 serves alone 15 s after the last renewal" in text


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The store's file."""
    return tmp_path / "control.db"


def test_a_fault_of_the_page_itself_is_not_called_old_data() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    async def ask() -> None:
        cache = StoreCache()
        try:
            await cache.get("x", fail)
        finally:
            cache.close()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask())


def test_a_slow_store_does_not_delay_those_who_have_a_cached_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.page.reading.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("serving.page.reading.PATIENCE_SECONDS", 0.01)
    answered = threading.Event()

    async def ask() -> list[int]:
        cache = StoreCache()
        first = await cache.get("x", lambda: 1)
        second = await cache.get("x", lambda: 2 if answered.wait(60) else 3)
        answered.set()
        while (third := await cache.get("x", lambda: 4)).value == 1:
            pass
        cache.close()
        return [first.value, second.value, third.value]

    assert asyncio.run(ask()) in ([1, 1, 2], [1, 1, 4])


def test_a_store_that_is_slow_is_not_called_away_before_it_has_been_silent_for_long() -> None:
    moment, answered = [0.0], threading.Event()

    async def ask(cache: StoreCache) -> str:
        return (await cache.get("x", lambda: 2 if answered.wait(60) else 0)).problem

    async def look(patch: pytest.MonkeyPatch) -> list[str]:
        patch.setattr("serving.page.reading.PATIENCE_SECONDS", 0.01)
        cache = StoreCache(lambda: moment[0])
        await cache.get("x", lambda: 1)
        found = []
        for seconds in (60.0, 65.0, 71.0):  # nobody looked for a minute; then the read is slow
            moment[0] = seconds
            found.append(await ask(cache))
        answered.set()
        cache.close()
        return found

    with pytest.MonkeyPatch.context() as patch:
        found = asyncio.run(asyncio.wait_for(look(patch), 30))
    assert found == ["", "", "it has not answered for 11 s"]


def test_log_and_configuration_are_renewed_without_a_wait() -> None:
    moment, answered = [0.0], threading.Event()

    async def ask() -> list[int]:
        cache = StoreCache(lambda: moment[0], longer=9.0)
        values = [await cache.get("x", lambda: 1)]
        moment[0] = 11.0  # due, and not old: nobody waits for the slow read
        values.append(await cache.get("x", lambda: 2 if answered.wait(60) else 0))
        answered.set()
        cache.close()
        return [found.value for found in values]

    assert asyncio.run(asyncio.wait_for(ask(), 30)) == [1, 1]


def test_a_reader_who_comes_during_the_first_read_starts_no_other() -> None:
    reads: list[int] = []
    released = threading.Event()

    def read() -> int:
        released.wait(30)
        reads.append(1)
        return 1

    async def ask() -> int:
        cache = StoreCache()
        cache.preload("x", read)
        waiting = asyncio.create_task(cache.get("x", read))
        await asyncio.sleep(0)
        released.set()
        found = await waiting
        cache.close()
        return found.value

    assert asyncio.run(asyncio.wait_for(ask(), 30)) == 1
    assert reads == [1]


def test_what_was_preloaded_is_there_for_the_first_reader() -> None:
    async def ask() -> int:
        cache = StoreCache()
        cache.preload("x", lambda: 1)
        while (found := cache._values.get("x")) is None:
            await asyncio.sleep(0.01)
        cache.close()
        return int(found[1])

    assert asyncio.run(asyncio.wait_for(ask(), 30)) == 1


def test_an_unavailable_store_is_reported_beside_the_last_values(
    client: httpx.Client, control: Control, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.page.reading.OLD_SECONDS", 0.0)
    control.routes.follow_champion("town", 4)
    client.get("/services/town")
    kept = file.rename(file.with_name("elsewhere"))
    file.mkdir()
    answer = client.get("/services/town")
    assert answer.status_code == 200
    assert "the control store cannot be read" in answer.text
    assert "unable to open database file" in answer.text
    assert "<b>v4</b>" in answer.text
    assert client.get("/v1/rollouts/town").json()["problem"].startswith("control store: ")
    file.rmdir()
    kept.rename(file)
    monkeypatch.setattr("serving.page.reading.OLD_SECONDS", 5.0)
    assert "cannot be read" not in client.get("/services/town").text


def test_a_store_that_never_answered_is_a_page_too(client: httpx.Client, file: Path) -> None:
    file.unlink()
    file.mkdir()
    answer = client.get("/services/town")
    assert answer.status_code == 503
    assert "The control store cannot be read" in answer.text
    reply = client.get("/v1/rollouts")
    assert (reply.status_code, "unable to open" in reply.json()["error"]) == (503, True)
    assert client.get("/healthz").json() == {"healthy": True}
