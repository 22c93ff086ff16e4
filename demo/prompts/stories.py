"""The stories of the demonstration of prompts: what is planted, and what has to stop it."""

from dataclasses import dataclass

PROMPT = "classify"
GOOD, BAD = 4, 5
"""Versions for the local model: with worked examples, and the same without them."""
MODEL = "smollm2-135m"


@dataclass(frozen=True)
class PromptStory:
    """One story: what goes wrong in words, and the error that has to stop it.

    `rule` is the rule of a rollout that has to roll the version back, or pause it.
    """

    title: str
    caught_by: str
    rule: str = ""


STORIES = {
    "regression": PromptStory("a version worse than the one that serves", "PromptRegressed"),
    "bad": PromptStory("a bad first version, with none to compare it with", "PromptRegressed"),
    "budget": PromptStory(
        "a price for the local model, and a budget that ends too soon", "EvidenceInsufficient"
    ),
    "edited": PromptStory("a published version is edited", "PromptChanged"),
    "unsafe": PromptStory(
        "a version that tells an address where somebody asks for a manager",
        "RolloutRolledBack",
        "guardrail",
    ),
    "dear": PromptStory(
        "a version whose answers are three times as dear where a history is quoted",
        "RolloutRolledBack",
        "cost",
    ),
    "silent": PromptStory(
        "a provider that changes its model and keeps its name", "PromptRegressed"
    ),
}
"""The first one is the story without a planted fault: all of it, from a good version on."""
LIVE = ("unsafe", "dear", "silent")
"""Stories whose fault shows on live inputs only; no local model is needed for them."""
CLEAN = "regression"
