"""A release of a prompt that is killed, and two at once: nothing half done, nothing paid twice."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.registry.client import open_registry
from sluice.home import Home
from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.asking import KEY_VARIABLE
from support.llm.provider import KEY, FakeProvider, run_provider
from support.prompts import answer_small, write_small_prompt, write_small_providers
from support.releases.runs import run_sluice, start_sluice
from support.servers.images import add_registry_database
from support.servers.stack import await_answer

pytestmark = [pytest.mark.slow, pytest.mark.faults]
CASES, KILLED_AT = 60, 15
START_SECONDS = 240.0


@dataclass(frozen=True)
class KillWorld:
    home: Home
    control: Control
    provider: FakeProvider
    variables: dict[str, str]

    def publish(self, version: int) -> Any:
        return run_sluice(
            "prompt", "publish", "classify", str(version), home=self.home.root, **self.variables
        )

    def count_kept(self) -> int:
        return len(list(self.home.replies.rglob("*.json")))

    def sum_reserved(self) -> int:
        with closing(sqlite3.connect(self.home.root / "control.db")) as connection:
            [(found,)] = connection.execute("SELECT COALESCE(SUM(reserved), 0) FROM spending")
            return int(found)

    @property
    def active(self) -> int | None:
        route = self.control.routes.find("classify")
        return route.champion if route else None


@pytest.fixture
def world(api: str, tmp_path: Path) -> Iterator[KillWorld]:
    home = add_registry_database(Home(tmp_path / "home"))
    write_small_prompt(tmp_path / "prompts", CASES)
    (tmp_path / "configs").mkdir()
    with run_provider(answer_small) as provider:
        write_small_providers(tmp_path / "configs", provider.url)
        variables = {
            "SLUICE_PROMPTS": str(tmp_path / "prompts"),
            "SLUICE_CONFIGS": str(tmp_path / "configs"),
            KEY_VARIABLE: KEY,
        }
        yield KillWorld(home, prepare_control(home), provider, variables)


def test_a_killed_release_leaves_nothing_half_done_and_pays_no_answer_twice(
    world: KillWorld,
) -> None:
    def hang(asked: AskedRequest) -> FakeAnswer:
        if asked.number > KILLED_AT:
            return FakeAnswer(fault="hang")
        return answer_small(asked)

    world.provider.reset(hang)
    words = ("prompt", "publish", "classify", "1")
    with start_sluice(*words, home=world.home.root, **world.variables) as process:
        assert await_answer(lambda: world.count_kept() >= KILLED_AT, START_SECONDS)
        assert await_answer(lambda: world.sum_reserved() > 0, START_SECONDS)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert world.active is None
    assert open_registry(world.home).list_published("classify") == {}
    kept = world.count_kept()
    world.provider.reset(answer_small)
    ended = world.publish(1)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(world.provider.asked) == CASES - kept
    assert world.active == 1
    assert set(open_registry(world.home).list_published("classify")) == {1}
    assert world.sum_reserved() > 0, "what the killed process reserved may still be spent"
    assert world.control.spending.expire(datetime.now(UTC) + timedelta(hours=1)) > 0
    assert world.sum_reserved() == 0


def test_two_at_once_wait_for_each_other_and_pay_once(world: KillWorld) -> None:
    ended: list[Any] = []
    runs = [Thread(target=lambda: ended.append(world.publish(1))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [item.returncode for item in ended] == [0, 0], [item.stdout for item in ended]
    assert len(world.provider.asked) == CASES
    assert world.active == 1
    assert set(open_registry(world.home).list_published("classify")) == {1}
