"""A change of what is wished starts one release; a mismatch is told and starts nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sluice.adapters.registry.client import Registry, open_registry
from sluice.control.cause import PROMPT_CHANGED
from sluice.control.watermark import GRACE
from sluice.errors import RegistryUnavailable
from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.asking import KEY_VARIABLE
from support.llm.provider import KEY, FakeProvider, run_provider
from support.llm.world import PromptWorld, open_small_world
from support.prompts import (
    answer_small,
    let_settle,
    small_cases,
    write_rows,
    write_small_version,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with run_provider(answer_small) as provider:
        yield provider


@pytest.fixture
def world(
    api: str, provider: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PromptWorld]:
    """A state folder whose first watch has seen the prompt: v1 is wished, nothing serves."""
    provider.reset(answer_small)
    with open_small_world(api, provider, tmp_path, monkeypatch) as world:
        assert (world.watch().name, world.provider.asked) == ("Skipped", [])
        yield world


def test_a_changed_wish_is_announced_once_and_released_once(world: PromptWorld) -> None:
    world.wish(2)
    state = world.watch()
    assert state.message.startswith(f"{world.name}: announced v2, ")
    assert world.watch().name == "Skipped"
    (payload,) = world.events(PROMPT_CHANGED)
    assert (payload["prompt"], payload["version"]) == (world.name, 2)
    assert len(payload["identity"]) == 64
    ended = world.release(2)
    assert ended.is_completed(), ended.message
    assert world.active == 2
    asked = len(world.provider.asked)
    again = world.release(2)
    assert (again.name, again.message) == (
        "Skipped",
        "v2 was handled: its release published it",
    )
    assert len(world.provider.asked) == asked
    assert world.watch().name == "Skipped", "what a release handled is no news"
    assert len(world.events(PROMPT_CHANGED)) == 1


def test_changed_cases_of_what_serves_start_a_release(world: PromptWorld) -> None:
    assert world.release(1, "by hand").is_completed()
    assert world.watch().name == "Skipped"
    write_rows(world.folder / "eval_set.jsonl", small_cases(64))
    assert f"{world.name}: announced v1, " in world.watch().message
    asked = len(world.provider.asked)
    assert world.release(1).is_completed()
    assert len(world.provider.asked) == asked + 4, "only the new cases are asked"


def test_a_draft_that_nobody_wishes_starts_nothing(world: PromptWorld) -> None:
    """An evaluated version is frozen: a draft must not be evaluated while it is written."""
    write_small_version(world.folder, 3)
    assert world.watch().name == "Skipped"
    assert world.provider.asked == []


def test_a_refused_version_is_not_evaluated_again(world: PromptWorld) -> None:
    assert world.release(1, "by hand").is_completed()

    def explain(asked: AskedRequest) -> FakeAnswer:
        return FakeAnswer(text="It may be billing.")

    world.wish(2)
    assert "announced v2" in world.watch().message
    world.provider.reset(explain)
    assert world.release(2).is_failed()
    asked = len(world.provider.asked)
    state = world.watch()
    assert "v2 is wished, v1 serves: the release of v2 was halted by PromptRegressed" in (
        state.message
    )
    _age_announcement(world)
    assert world.watch().name == "Skipped"
    assert world.release(2).name == "Skipped"
    assert len(world.provider.asked) == asked
    assert len(world.events(PROMPT_CHANGED)) == 1
    (mismatch,) = world.events("prompt.mismatch")
    assert (mismatch["version"], mismatch["serves"]) == (2, 1)


def test_a_version_that_was_taken_off_is_told_and_never_published_again(
    world: PromptWorld,
) -> None:
    assert world.release(1, "by hand").is_completed()
    world.wish(2)
    world.watch()
    assert world.release(2).is_completed()
    world.control.routes.follow_champion(world.name, 1, "prompt")  # as a person's rollback does
    state = world.watch()
    assert "v2 is wished, v1 serves: v2 served before, and another version was put in" in (
        state.message
    )
    write_rows(world.folder / "eval_set.jsonl", small_cases(64))
    asked = len(world.provider.asked)
    assert world.watch().name == "Skipped", "nor by changed cases"
    late = world.release(2)
    assert late.name == "Skipped", "nor by an event that comes late"
    assert "served before" in late.message
    assert (world.active, len(world.provider.asked)) == (1, asked)
    assert world.release(2, "by hand").is_completed()
    assert world.active == 2, "a person may"
    assert world.watch().name == "Skipped"


def test_a_route_that_moves_during_a_release_is_not_overwritten(world: PromptWorld) -> None:
    assert world.release(1, "by hand").is_completed()
    assert world.release(2, "by hand").is_completed()
    write_small_version(world.folder, 3)

    def move(asked: AskedRequest) -> FakeAnswer:
        world.control.routes.follow_champion(world.name, 1, "prompt")
        return answer_small(asked)

    world.provider.reset(move)
    state = world.release(3, "by hand")
    assert "v1 serves by now, and v3 was compared with v2; next: sluice prompt publish" in (
        state.message
    )
    assert world.active == 1


def test_an_event_of_a_version_that_is_not_wished_any_more_does_nothing(
    world: PromptWorld,
) -> None:
    world.wish(2)
    world.watch()
    world.wish(1)
    state = world.release(2)
    assert state.name == "Skipped"
    assert state.message.startswith("v2 is not wished any more: prompts/config.yaml wishes v1")
    assert world.provider.asked == []


def test_an_edited_version_starts_nothing_and_is_told_once(world: PromptWorld) -> None:
    assert world.release(1, "by hand").is_completed()
    write_small_version(world.folder, 1, system="Edited.")
    states = [world.watch() for _ in range(2)]
    for state in states:
        assert state.is_failed()
        assert f"PromptChanged: {world.name} v1 was evaluated as" in state.message
        assert f"make a new version: sluice prompt new {world.name} --from 1" in state.message
    assert len(world.events("prompt.edited")) == 1
    assert world.events(PROMPT_CHANGED) == []


def test_without_a_key_a_change_waits_for_it(
    world: PromptWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    world.wish(2)
    state = world.watch()
    assert "v2 is wished, nothing serves: provider 'near' needs a key" in state.message
    assert world.watch().name == "Skipped"
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert "announced v2" in world.watch().message
    assert len(world.events(PROMPT_CHANGED)) == 1


def test_a_lost_event_is_emitted_again_and_a_claimed_change_is_not(world: PromptWorld) -> None:
    world.wish(2)
    world.watch()
    _age_announcement(world)
    assert "announced v2" in world.watch().message
    lease = world.control.leases.acquire(world.name, "release", "a run", 15)
    change = world.control.watermarks.find(world.name, "prompt change").mark
    world.control.causes.claim(lease, PROMPT_CHANGED, change, "a run")
    _age_announcement(world)
    assert world.watch().name == "Skipped"
    assert len(world.events(PROMPT_CHANGED)) == 2


def test_of_two_watches_at_once_one_announces(world: PromptWorld) -> None:
    world.wish(2)
    start, ended = threading.Barrier(2), list[str]()
    let_settle(world.folder.parent)
    from flows.watch import watch

    def run() -> None:
        start.wait()
        ended.append(watch(return_state=True).name)

    watches = [threading.Thread(target=run) for _ in range(2)]
    for item in watches:
        item.start()
    for item in watches:
        item.join()
    assert sorted(ended) == ["Completed", "Skipped"]
    assert len(world.events(PROMPT_CHANGED)) == 1


def test_a_file_that_is_being_written_is_left_alone(
    world: PromptWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tasks.prompts.watching.SETTLED_SECONDS", 3600.0)
        world.wish(2)
        assert world.watch().name == "Skipped"
    assert "announced v2" in world.watch().message


def test_a_broken_prompt_is_named_and_stops_no_watch(world: PromptWorld) -> None:
    (world.folder / "eval_set.jsonl").write_text("{\n")
    state = world.watch()
    assert state.is_failed()
    assert f"{world.name}: PromptInvalid: " in state.message
    (world.folder.parent / "config.yaml").write_text("development: {nobody: 1}\n")
    assert "prompts: PromptInvalid: " in world.watch().message


def test_the_registry_follows_later_where_it_was_away(world: PromptWorld) -> None:
    with _registry_away():
        state = world.release(1, "by hand")
    assert state.is_completed(), state.message
    assert world.active == 1
    registry = open_registry(world.home)
    assert set(registry.list_published(world.name)) == {1}
    assert world.watch().message == f"{world.name}: the registry shows v1 as the one that serves"
    client = registry.store.client()
    assert client.get_prompt_version_by_alias(world.name, "champion").tags["sluice.version"] == "1"
    assert world.watch().name == "Skipped"


def test_a_registry_that_lost_everything_gets_what_serves_again(world: PromptWorld) -> None:
    assert world.release(1, "by hand").is_completed()
    registry = open_registry(world.home)
    identity = registry.list_published(world.name)[1]
    client = registry.store.client()
    client.delete_prompt_alias(world.name, "champion")
    client.delete_prompt_version(world.name, "1")
    marks = world.control.watermarks
    seen = marks.find(world.name, "prompt mirror")
    assert marks.move(seen, seen.settle("unknown"))
    assert "the registry shows v1" in world.watch().message
    assert open_registry(world.home).list_published(world.name) == {1: identity}


@contextmanager
def _registry_away() -> Iterator[None]:
    """Let the registry be away when its alias is to move."""

    def fail(*_: object) -> None:
        raise RegistryUnavailable("the registry does not answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "mark_active", fail)
        yield


def _age_announcement(world: PromptWorld) -> None:
    """Let the announcement be older than the time after which it is repeated."""
    seen = world.control.watermarks.find(world.name, "prompt change")
    if seen.announced:
        old = seen.announce(seen.mark, seen.announced - GRACE)
        assert world.control.watermarks.move(seen, old)
