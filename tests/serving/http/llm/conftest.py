"""One gateway that serves prompts, and the provider that it asks, for all tests of this folder."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.gateway.site import Running
from support.llm.answers import FakeAnswer
from support.llm.live import PromptSite, run_prompts
from support.llm.provider import FakeProvider, run_provider

RULES: Any = {"secrets": "block", "pii": "mask", "profanity": "flag"}
SERVICES: dict[str, Any] = {
    "guarded": {"guardrails": {"input": {"secrets": "block", "email": "mask"}, "output": RULES}},
    "windowed": {"guardrails": {"output": RULES, "stream": "window", "window": 100}},
    "ended": {"guardrails": {"output": RULES, "stream": "end"}},
    "model.spare": {"guardrails": {"input": {"pii": "mask"}, "output": RULES}},
    "shielded": {"guardrails": {"input": {"injection": "block"}}},
    "cached": {"cache": {"seconds": 600}},
    "thrifty": {"budgets": {"service": {"day": 0.002}}},
    "spent": {"budgets": {"service": {"month": 0}}},
    "metered": {"budgets": {"service": {"day": 100}}},
    "shared": {"budgets": {"service": {"day": 0.002}}},
    "personal": {"budgets": {"user": {"day": 0.001}}},
}
"""Settings by prompt, or by model that is asked itself."""


@pytest.fixture(scope="session")
def shared_provider() -> Iterator[FakeProvider]:
    with run_provider() as provider:
        yield provider


@pytest.fixture
def provider(shared_provider: FakeProvider) -> FakeProvider:
    """The provider as it answers at first: a short text."""
    return shared_provider.reset(lambda _: FakeAnswer())


@pytest.fixture(scope="session")
def prompts(
    tmp_path_factory: pytest.TempPathFactory, shared_provider: FakeProvider
) -> Iterator[Running]:
    """A gateway with `greet` and other prompts, each with settings of its own."""
    folder = tmp_path_factory.mktemp("prompts")
    site = PromptSite(folder, shared_provider, serving={"services": SERVICES})
    site.publish()
    site.publish("pair", template="Greet {person} in {place}.")
    site.publish("careful", model="careful")
    for name in SERVICES:
        if "." not in name:
            site.publish(name)
    with run_prompts(site) as running:
        for name in ("greet", "pair", "careful", *SERVICES):
            if "." not in name:
                running.await_champion(name)
        yield running
        assert running.end() == 0
