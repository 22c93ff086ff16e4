"""The wish and the fact of a prompt: what may start a release, and what people are told."""

from dataclasses import replace

import pytest

from sluice.control.prompt_wish import PUBLISHED, PromptWish, name_change

HALTED = "was halted by PromptRegressed"
NEW = PromptWish("summarize", wished=2, serves=1, has_served=False)


def test_a_new_wish_may_start() -> None:
    assert NEW.may_start
    assert not NEW.is_met
    assert replace(NEW, serves=None).may_start


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": HALTED},
        {"outcome": PUBLISHED},
        {"has_served": True},
        {"obstacle": "provider 'anthropic' needs a key"},
    ],
)
def test_what_was_refused_published_taken_off_or_cannot_be_asked_starts_nothing(
    changes: dict[str, object],
) -> None:
    assert not replace(NEW, **changes).may_start  # type: ignore[arg-type]


def test_a_changed_evaluation_set_of_what_serves_may_start() -> None:
    assert replace(NEW, serves=2, has_served=True).may_start


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (replace(NEW, serves=2, has_served=True), ""),
        (replace(NEW, serves=2, has_served=True, outcome=PUBLISHED), ""),
        (
            replace(NEW, serves=2, has_served=True, outcome=HALTED),
            "v2 serves as wished, but on its cases and limits of now its release was halted by",
        ),
        (NEW, "v2 is wished, v1 serves; next: `sluice prompt publish summarize 2`"),
        (replace(NEW, serves=None), "v2 is wished, nothing serves; next: `sluice prompt publish"),
        (replace(NEW, outcome=HALTED), "the release of v2 was halted by PromptRegressed; next: "),
        (
            replace(NEW, outcome=PUBLISHED),
            "published, and no rollout has promoted it; next: `sluice",
        ),
        (replace(NEW, outcome=""), "its release began and has not ended; next: see its run"),
        (replace(NEW, has_served=True), "v2 served before, and another version was put in its"),
        (replace(NEW, obstacle="no key; next: set it"), "v1 serves: no key; next: set it; then: "),
    ],
)
def test_a_mismatch_is_explained_with_what_to_do(wish: PromptWish, said: str) -> None:
    assert said in wish.explain()
    assert bool(said) == bool(wish.explain())


def test_a_change_is_named_by_version_and_identity() -> None:
    assert name_change(3, "0123456789abcdef") == "v3, 0123456789ab"
