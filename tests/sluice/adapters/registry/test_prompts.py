"""Published prompts in a real registry: each version once, never with another content."""

from dataclasses import replace

import pytest

from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.prompts import PublishedPrompt
from sluice.errors import PromptChanged, PromptInvalid

FIRST = PublishedPrompt(
    "summarize",
    1,
    "ab" * 32,
    (("system", "Answer in {bullets}."), ("user", "Text: {{text}}")),
    {"model_name": "claude-sonnet-4", "temperature": 0.3, "max_tokens": 500},
    {"sluice.eval_set": "cd" * 32},
    "three bullets",
)


def test_a_version_is_published_once(registry: Registry) -> None:
    assert registry.list_published("summarize") == {}
    number = registry.publish_prompt(FIRST)
    assert registry.publish_prompt(FIRST) == number
    second = registry.publish_prompt(replace(FIRST, version=2, identity="ef" * 32))
    assert second != number
    assert registry.list_published("summarize") == {1: "ab" * 32, 2: "ef" * 32}
    registry.mark_active("summarize", 2, "champion")
    registry.mark_active("summarize", 1, "champion")
    shown = registry.store.client().get_prompt_version_by_alias("summarize", "champion")
    assert (shown.version, shown.tags["sluice.eval_set"]) == (number, "cd" * 32)
    assert shown.template[1] == {"role": "user", "content": "Text: {{text}}"}
    assert shown.model_config["temperature"] == 0.3


def test_a_published_version_with_another_content_is_refused(registry: Registry) -> None:
    other = replace(FIRST, name="classify")
    registry.publish_prompt(other)
    with pytest.raises(PromptChanged, match="v1 was published as abababababab and is 000000000000"):
        registry.publish_prompt(replace(other, identity="00" * 32))
    assert registry.list_published("classify") == {1: "ab" * 32}


def test_a_name_that_a_model_has_is_refused_in_words(registry: Registry) -> None:
    registry.store.client().create_registered_model("injection")
    with pytest.raises(PromptInvalid, match="prompt 'injection': a model of the registry has"):
        registry.publish_prompt(replace(FIRST, name="injection"))


def test_a_version_that_is_not_published_is_not_marked(registry: Registry) -> None:
    with pytest.raises(LookupError, match="summarize v9 is not published"):
        registry.mark_active("summarize", 9, "champion")
