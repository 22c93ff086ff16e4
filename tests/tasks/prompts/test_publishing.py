"""A version that is published is kept as it is, for the gateway."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.prompt_wishes import find_serving
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.registry.prompts import PublishedPrompt
from sluice.config.llm.serving import LanguageServingConfig, LiveConfig
from sluice.config.rollout import PromptRolloutConfig
from sluice.errors import PromptChanged
from sluice.home import Home
from sluice.prompts.published import SmokeQuestion, read_published, read_question
from sluice.prompts.version import PromptVersion
from support.prompts import VERSION
from support.servers.images import add_registry_database
from tasks.prompts.publishing import PublishedVersion, activate_version, keep_published


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    return Home(tmp_path)


def make(**changes: Any) -> PromptVersion:
    return PromptVersion.model_validate({**VERSION, **changes})


def test_it_is_kept_once_and_read_as_it_was(home: Home) -> None:
    keep_published(make())
    keep_published(make())
    folder = home.published_prompts("greet")
    assert len(list(folder.iterdir())) == 1
    assert read_published(folder, "greet", 1) == make()


def test_another_content_of_a_published_version_is_refused(home: Home) -> None:
    keep_published(make())
    with pytest.raises(PromptChanged, match="greet v1 was published with another content"):
        keep_published(make(max_tokens=60))
    assert read_published(home.published_prompts("greet"), "greet", 1) == make()


@pytest.fixture
def registry(home: Home) -> Registry:
    found = open_registry(add_registry_database(home))
    found.prepare()
    for number in (1, 2):
        turns = (("user", "Greet {{person}}."),)
        found.publish_prompt(PublishedPrompt("greet", number, f"id {number}", turns, {}, {}))
    return found


@pytest.fixture
def control(home: Home) -> Control:
    found = prepare_control(home)
    found.routes.follow_champion("greet", 1, "prompt")
    return found


def activate(
    patch: pytest.MonkeyPatch, rollout: PromptRolloutConfig | None, **changes: Any
) -> PublishedVersion:
    """Activate v2 beside v1, which serves, with a section `rollout` or without."""
    live = LanguageServingConfig(defaults=LiveConfig(rollout=rollout))
    patch.setattr("tasks.prompts.publishing.load_language_serving", lambda: live)
    patch.setattr("tasks.prompts.publishing.publish_event", lambda *given: events.append(given))
    events.clear()
    values = {"prompt": "greet", "version": 2, "identity": "id 2", "number": 2, "is_active": False}
    published = PublishedVersion(**{**values, **changes})
    given: Any = SimpleNamespace(active=1, command="prompt publish greet 2")
    with disable_run_logger():
        found: PublishedVersion = activate_version.fn(published, given)
    return found


events: list[Any] = []


def test_without_a_rollout_a_published_version_serves_at_once(
    control: Control, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert activate(monkeypatch, None).is_active
    assert find_serving(control, "greet") == 2
    assert registry.find_marked("greet", "champion") == 2


@pytest.mark.parametrize(("start", "requested"), [("manual", 0), ("auto", 1)])
def test_with_a_rollout_it_becomes_the_candidate_and_nothing_moves(
    control: Control,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    start: Any,
    requested: int,
) -> None:
    found = activate(monkeypatch, PromptRolloutConfig(start=start))
    assert (found.is_active, found.is_candidate) == (False, True)
    assert find_serving(control, "greet") == 1
    assert registry.find_marked("greet", "candidate") == 2
    assert events == [("greet", "rollout.requested", {"version": 2})] * requested


def test_the_version_that_serves_stays_active(
    control: Control, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = activate(monkeypatch, PromptRolloutConfig(), version=1)
    assert (found.is_active, found.is_candidate) == (True, False)


def test_its_question_is_kept_and_read(home: Home) -> None:
    keep_published(make(), SmokeQuestion(input={"person": "Ada"}))
    folder = home.published_prompts("greet")
    assert read_published(folder, "greet", 1) == make()
    assert read_question(folder, make()).input == {"person": "Ada"}
    assert read_question(folder, make(version=2)).input == {"person": "text"}, "of an earlier one"
