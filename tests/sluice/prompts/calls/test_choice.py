"""Which model answers in each environment, and what it is refused for."""

from datetime import date, timedelta
from typing import Any

import pytest

from sluice.config.llm.loading import load_providers
from sluice.config.llm.providers import ProvidersConfig
from sluice.errors import ConfigInvalid, ModelRetired, PromptInvalid
from sluice.home import PROJECT
from sluice.prompts.active import ACTIVE, read_active
from sluice.prompts.calls.choice import (
    ModelChoice,
    check_request,
    choose_fallback,
    choose_model,
    describe_retirement,
)
from sluice.prompts.chat import ChatMessage, ChatRequest, ToolDefinition
from sluice.prompts.evaluation.judges import list_judges, load_judge
from sluice.prompts.folder import load_version
from sluice.prompts.listing import list_prompts
from sluice.prompts.rendering import render_request

PROMPTS = PROJECT / "prompts"
BEFORE, AFTER = date(2026, 6, 14), date(2026, 6, 15)
READ = date(2026, 12, 1)
"""When the dates of the project's file were last read at the providers."""
MODEL = {"provider": "a", "id": "id-1", "context": 1000, "max_tokens": 100}


def make_config(**changes: Any) -> ProvidersConfig:
    return ProvidersConfig.model_validate(
        {
            "providers": {"a": {"kind": "anthropic"}, "local": {"kind": "local"}},
            "models": {
                "old": {**MODEL, "retires": date(2026, 6, 15), "successor": "new", **changes},
                "new": {**MODEL, "id": "id-2", "fallback": "old"},
                "small": {**MODEL, "provider": "local", "id": "small-1"},
            },
            "environments": {
                "development": {"instead": {"new": "small", "dream": "small"}},
                "production": {"refused": {"small": "it is too small"}},
            },
        }
    )


def choose(name: str, environment: str = "production", today: date = BEFORE) -> ModelChoice:
    return choose_model(make_config(), name, environment, today)


def test_an_environment_says_which_model_answers() -> None:
    assert choose("new").name == "new"
    assert (choose("new", "development").name, choose("dream", "development").name) == (
        "small",
        "small",
    )
    words = "model 'small' (instead of new) of provider 'local'"
    assert choose("new", "development").describe() == words


def test_a_retired_model_is_refused_from_its_day_on_with_its_successor() -> None:
    assert choose("old", today=BEFORE).name == "old"
    with pytest.raises(ModelRetired, match=r"'old' was retired on 2026-06-15; .* is 'new'; next:"):
        choose("old", today=AFTER)


def test_a_retired_model_without_a_successor_says_so() -> None:
    config = make_config(successor="")
    with pytest.raises(ModelRetired, match="no successor in the file; next: name another model"):
        choose_model(config, "old", "production", AFTER)


@pytest.mark.parametrize(("days", "left"), [(91, ""), (90, "90 days"), (1, "1 day"), (0, "")])
def test_a_model_that_retires_soon_is_told_with_its_successor(days: int, left: str) -> None:
    found = describe_retirement(choose("old"), AFTER - timedelta(days=days))
    words = f"model 'old' retires on 2026-06-15, in {left}; its successor is 'new'; next: "
    assert found.startswith(words) if left else found == ""
    assert describe_retirement(choose("new"), BEFORE) == ""


@pytest.mark.parametrize("environment", ["development", "production"])
def test_every_shipped_prompt_that_is_wished_and_every_judge_has_a_model_that_answers(
    environment: str,
) -> None:
    config, wished = load_providers(), read_active(PROMPTS / ACTIVE).of(environment)
    assert set(wished) == set(list_prompts(PROMPTS))
    versions = [load_version(name, number, PROMPTS) for name, number in wished.items()]
    versions += [load_judge(name, PROMPTS).version for name in list_judges(PROMPTS)]
    for version in versions:
        found = choose_model(config, version.model, environment, READ)
        check_request(found, render_request(version, dict.fromkeys(version.placeholders, "x")))


def test_what_retires_names_a_successor_that_does_not() -> None:
    models = load_providers().models
    gone = [model for model in models.values() if model.retires and model.retires <= READ]
    assert gone
    assert all(models[model.successor].retires is None for model in gone)


def test_an_unknown_model_is_told_with_those_that_are_allowed() -> None:
    with pytest.raises(ConfigInvalid, match="'nope' is unknown in production; allowed: new, old, "):
        choose("nope")
    with pytest.raises(ConfigInvalid, match="allowed: dream, new, old, small; next:"):
        choose("nope", "development")


def test_an_environment_refuses_a_model_by_name_with_its_reason() -> None:
    with pytest.raises(ConfigInvalid, match="'small' may not answer in production: it is too sma"):
        choose("small")


def test_a_fallback_is_one_that_may_answer() -> None:
    config, chosen = make_config(), choose("new")
    found = choose_fallback(config, chosen, "production", BEFORE)
    assert found is not None
    assert (found.asked, found.name) == ("new", "old")
    assert choose_fallback(config, chosen, "production", AFTER) is None
    assert choose_fallback(config, choose("old"), "production", BEFORE) is None


def make_request(**changes: Any) -> ChatRequest:
    values = {"max_tokens": 100, **changes}
    return ChatRequest(model="old", messages=(ChatMessage("user", "Hi"),), **values)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 0.0),
        ("system", ""),
        ("tools", (ToolDefinition("t", "", {}),)),
        ("output_schema", {}),
    ],
)
def test_what_a_model_cannot_do_is_refused_before_it_is_asked(key: str, value: Any) -> None:
    request = make_request(**{key: value})
    check_request(choose("old"), request)
    unable = choose_model(make_config(**{key: False}), "old", "production", BEFORE)
    check_request(unable, make_request())
    with pytest.raises(PromptInvalid, match=f"{key}: model 'old' .* takes none .*leave it out"):
        check_request(unable, request)


@pytest.mark.parametrize(("tokens", "context"), [(101, 1000), (0, 1000), (60, 60)])
def test_more_tokens_than_a_model_has_are_refused(tokens: int, context: int) -> None:
    choice = choose_model(make_config(context=context), "old", "production", BEFORE)
    with pytest.raises(PromptInvalid, match=rf"max_tokens: found {tokens}; allowed .*: 1 to "):
        check_request(choice, make_request(max_tokens=tokens))
