"""Ask a provider of the tests with the project's own client."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice.adapters.llm.client import LanguageModels
from sluice.adapters.llm.transport import CallTrace
from sluice.config.llm.providers import ProvidersConfig
from sluice.errors import SluiceError
from sluice.prompts.chat import ChatMessage, ChatReply, ChatRequest
from support.llm.provider import FakeProvider

KEY_VARIABLE = "KEY_OF_A_TEST"
MODELS = {"anthropic": "claude", "openai": "gpt"}
"""The model of each dialect, as prompts name it."""
SHORT: Mapping[str, str] = {"first_byte": "0.3 s", "gap": "0.3 s", "whole": "0.6 s"}


def write_config(
    provider: FakeProvider,
    limits: Mapping[str, str] = SHORT,
    retries: Mapping[str, Any] | None = None,
    models: Mapping[str, Any] | None = None,
    **options: Any,
) -> ProvidersConfig:
    """Return a configuration with one model of each dialect; `models` adds to their keys."""
    values = describe_config(provider, limits, retries, models, **options)
    return ProvidersConfig.model_validate(values)


def describe_config(
    provider: FakeProvider,
    limits: Mapping[str, str] = SHORT,
    retries: Mapping[str, Any] | None = None,
    models: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Return the same as plain values, as a file has them."""
    shared = {
        "key": {"env": KEY_VARIABLE},
        "limits": {"connect": "2 s", **limits},
        "retries": {"attempts": 3, "longest_wait": "0.05 s", **(retries or {})},
        **options,
    }
    plain = {"context": 4000, "max_tokens": 1000, **(models or {})}
    return {
        "providers": {
            "anthropic": {"kind": "anthropic", "url": provider.url, **shared},
            "openai": {"kind": "openai", "url": f"{provider.url}/v1", **shared},
        },
        "models": {
            "claude": {"provider": "anthropic", "id": "claude-haiku-4-5", **plain},
            "gpt": {"provider": "openai", "id": "gpt-4.1-mini-2025-04-14", **plain},
        },
    }


def make_request(model: str = "claude", text: str = "Hello?", **changes: Any) -> ChatRequest:
    values = {"max_tokens": 100, **changes}
    return ChatRequest(model=model, messages=(ChatMessage("user", text),), **values)


@dataclass
class Outcome:
    """What came of one call; `texts` are the chunks of a streamed one."""

    reply: ChatReply | None = None
    error: SluiceError | None = None
    texts: list[str] = field(default_factory=list)
    trace: CallTrace = field(default_factory=CallTrace)
    seconds: float = 0.0


def ask(
    config: ProvidersConfig, request: ChatRequest, *, stream: bool = False, **options: Any
) -> Outcome:
    """Make one call in a loop of its own."""
    return asyncio.run(ask_in_loop(config, request, stream=stream, **options))


async def ask_in_loop(
    config: ProvidersConfig, request: ChatRequest, *, stream: bool = False, **options: Any
) -> Outcome:
    outcome = Outcome()
    loop = asyncio.get_running_loop()
    async with LanguageModels(config, "development", Path("/nowhere")) as models:
        began = loop.time()
        try:
            if stream:
                async with aclosing(models.stream(request, outcome.trace, **options)) as chunks:
                    async for chunk in chunks:
                        outcome.texts += [chunk.text] if chunk.text else []
                        outcome.reply = chunk.reply
            else:
                outcome.reply = await models.complete(request, outcome.trace, **options)
        except SluiceError as error:
            outcome.error = error
        outcome.seconds = loop.time() - began
    return outcome
