"""Providers of language models, their models, and which model answers in each environment."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sluice.config.monitoring.rules import TimeSpan
from sluice.config.yaml_file import KeyInvalid, Section

PLACES = {
    "env": (r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable"),
    "file": (r"/.+", "an absolute path"),
}
Environment = Literal["development", "production"]


def check_url(url: str) -> str:
    """Return a provider's address without its last slash.

    Raises:
        ValueError: it is no HTTP address, or has a login or a query in it.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"found '{url}'; allowed: an address such as https://HOST/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("has a login, a query or a fragment; allowed: scheme, host, port, path")
    return url.rstrip("/")


Url = Annotated[str, AfterValidator(check_url)]
Dollars = Annotated[Decimal, Field(ge=0, le=100_000)]
"""US dollars per million tokens; 0 where nothing is paid."""


class ProviderKey(Section):
    """Where a provider's key is: never the key itself, which no error shows either."""

    env: str = ""
    """Name of an environment variable."""
    file: str = ""
    """Absolute path of a file that has the key and nothing else."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_place(cls, value: Any) -> Any:
        if isinstance(value, (dict, cls)):
            return value
        raise ValueError("found something else; allowed: {env: NAME} or {file: PATH}, no key")

    @field_validator("env", "file", mode="before")
    @classmethod
    def _looks_like_a_place(cls, value: Any, info: ValidationInfo) -> Any:
        shape, words = PLACES[str(info.field_name)]
        if isinstance(value, str) and re.fullmatch(shape, value):
            return value
        raise ValueError(f"found something else; allowed: {words}, no key")

    @model_validator(mode="after")
    def _names_one_place(self) -> "ProviderKey":
        if bool(self.env) == bool(self.file):
            found = "both" if self.env else "neither"
            raise ValueError(f"found {found} of env and file; allowed: one of them")
        return self


class TimeLimits(Section):
    """How long each part of a call may take; what is beyond is an error, never a silent wait."""

    connect: TimeSpan = Field(5.0, gt=0)
    first_byte: TimeSpan = Field(60.0, gt=0)
    """From the request to the first byte of a streamed answer."""
    gap: TimeSpan = Field(30.0, gt=0)
    """Between two parts of an answer that has begun."""
    whole: TimeSpan = Field(300.0, gt=0)
    """One attempt from its start to the answer's end; also of an answer that is not streamed."""


class Retries(Section):
    """Attempts after 429, 5xx and connections that fail."""

    attempts: int = Field(4, ge=1, le=10)
    """Attempts in all; 1 never tries again."""
    longest_wait: TimeSpan = Field(30.0, ge=0)
    """Longest wait before an attempt; a provider that asks for more is given up."""


class ProviderOptions(Section):
    """What every provider has."""

    limits: TimeLimits = TimeLimits()
    retries: Retries = Retries()
    concurrency: int = Field(16, ge=1, le=1000)
    """Most requests at a time from one process; 429 halves it, success lets it grow again."""
    prices: str = ""
    """Name of the provider in the table of prices, where its address does not tell it."""


class AnthropicProvider(ProviderOptions):
    """Anthropic's messages API, or a server that speaks it."""

    kind: Literal["anthropic"]
    url: Url = "https://api.anthropic.com"
    """Address in front of `/v1/messages`."""
    key: ProviderKey = ProviderKey(env="ANTHROPIC_API_KEY")
    prices: str = "anthropic"


class OpenAIProvider(ProviderOptions):
    """Any server with the chat completions API of OpenAI."""

    kind: Literal["openai"]
    url: Url = "https://api.openai.com/v1"
    """Address in front of `/chat/completions`."""
    key: ProviderKey | None = ProviderKey(env="OPENAI_API_KEY")
    """`null` for a server that asks for none."""
    output_limit: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    """The request's key for the most tokens of the answer; older servers know `max_tokens`."""


class LocalProvider(ProviderOptions):
    """A small model in a process of its own on this machine (`make local-llm` installs it)."""

    kind: Literal["local"]
    limits: TimeLimits = TimeLimits.model_validate({"first_byte": "240 s", "gap": "60 s"})
    concurrency: int = Field(1, ge=1, le=1000)


Provider = Annotated[
    AnthropicProvider | OpenAIProvider | LocalProvider, Field(discriminator="kind")
]


class StatedPrice(Section):
    """A price that stands here because the table of prices has none, or another one."""

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    """None: as `input`."""
    cache_write: Dollars | None = None
    """None: as `input`."""


class LanguageModel(Section):
    """One model of a provider, and what it can do."""

    provider: str
    """A name under `providers`."""
    id: str = Field(min_length=1)
    """The provider's own name of the model, with its date where it has one."""
    context: int = Field(ge=1)
    """Most tokens of input and output together."""
    max_tokens: int = Field(ge=1)
    """Most tokens of an answer."""
    temperature: bool = True
    """Whether a request may give a temperature."""
    system: bool = True
    """Whether a request may have a system text."""
    tools: bool = True
    """Whether a request may define tools."""
    output_schema: bool = True
    """Whether a request may ask for an answer that fits a JSON schema."""
    retires: date | None = None
    """The day from which the provider refuses the model."""
    successor: str = ""
    """The model that its provider recommends instead."""
    fallback: str = ""
    """The model that answers where the provider does not; only live traffic uses it."""
    price: StatedPrice | None = None


class ModelChoices(Section):
    """Which models answer in one environment."""

    instead: dict[str, str] = Field(default_factory=dict)
    """The name that prompts use: the model that answers for it here."""
    refused: dict[str, str] = Field(default_factory=dict)
    """A model that may not answer here: the reason."""


class ProvidersConfig(Section):
    """All of `configs/llm/providers.yaml`."""

    providers: dict[str, Provider]
    models: dict[str, LanguageModel]
    environments: dict[Environment, ModelChoices] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_what_exists(self) -> "ProvidersConfig":
        for name, model in self.models.items():
            _check_name(("models", name, "provider"), model.provider, self.providers)
            for key in ("successor", "fallback"):
                if other := getattr(model, key):
                    _check_name(("models", name, key), other, self.models)
            if model.fallback == name:
                raise KeyInvalid(("models", name, "fallback"), "is the model itself")
        for environment, choices in self.environments.items():
            place = ("environments", environment)
            for name, other in choices.instead.items():
                _check_name((*place, "instead", name), other, self.models)
            for name in choices.refused:
                _check_name((*place, "refused", name), name, self.models)
        return self


def _check_name(place: tuple[str, ...], name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        raise KeyInvalid(place, f"found '{name}'; allowed: {', '.join(known) or 'none yet'}")
