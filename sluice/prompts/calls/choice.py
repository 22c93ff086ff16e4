"""Which model answers for the name that a prompt uses, and whether it can do what is asked."""

from dataclasses import dataclass
from datetime import date, timedelta

from sluice.config.llm.providers import LanguageModel, LocalProvider, ProvidersConfig
from sluice.config.llm.providers import Provider as ProviderConfig
from sluice.errors import ConfigInvalid, ModelRetired, PromptInvalid
from sluice.prompts.chat import ChatRequest

FILE = "configs/llm/providers.yaml"
SOON = timedelta(days=90)
"""How long before its day a model's retirement is told."""


@dataclass(frozen=True)
class ModelChoice:
    """The model that answers: `asked` is the prompt's name, `name` the one in the file."""

    asked: str
    name: str
    model: LanguageModel
    provider: ProviderConfig

    @property
    def place(self) -> str:
        """The provider's kind and address, which tell two models of one id apart."""
        provider = self.provider
        return "local" if isinstance(provider, LocalProvider) else f"{provider.kind} {provider.url}"

    @property
    def exact(self) -> str:
        """The model's id and the provider that answers with it, whatever name prompts use."""
        return f"{self.model.id} of {self.place}"

    @property
    def is_embedded(self) -> bool:
        """Whether it is the small model that runs on this machine."""
        return isinstance(self.provider, LocalProvider)

    def describe(self) -> str:
        """Return the model in words, with the name that a prompt used where it is another one."""
        instead = f" (instead of {self.asked})" if self.asked != self.name else ""
        return f"model '{self.name}'{instead} of provider '{self.model.provider}'"


def choose_model(config: ProvidersConfig, asked: str, environment: str, today: date) -> ModelChoice:
    """Return the model that answers in an environment for a name that a prompt uses.

    Raises:
        ConfigInvalid: no such model is known, or the environment refuses it.
        ModelRetired: its provider has retired it.
    """
    choices = config.environments.get(environment)  # type: ignore[call-overload]
    name = choices.instead.get(asked, asked) if choices else asked
    if name not in config.models:
        known = sorted({*config.models, *(choices.instead if choices else ())})
        raise ConfigInvalid(
            f"model '{asked}' is unknown in {environment}; allowed: {', '.join(known)}; "
            f"next: name one of them, or add it to {FILE}"
        )
    if choices and name in choices.refused:
        raise ConfigInvalid(
            f"model '{name}' may not answer in {environment}: {choices.refused[name]}; next: "
            f"name another model, or change environments.{environment} of {FILE}"
        )
    found = _make_choice(config, asked, name)
    check_retirement(found, today)
    return found


def choose_fallback(
    config: ProvidersConfig, choice: ModelChoice, environment: str, today: date
) -> ModelChoice | None:
    """Return the model that answers where a choice's provider does not; None where there is none.

    A fallback that is retired, or that the environment refuses, is none.
    """
    name = choice.model.fallback
    choices = config.environments.get(environment)  # type: ignore[call-overload]
    if not name or (choices and name in choices.refused):
        return None
    found = _make_choice(config, choice.asked, name)
    return found if not _is_retired(found, today) else None


def check_retirement(choice: ModelChoice, today: date) -> None:
    """Check that a model's provider still answers with it.

    Raises:
        ModelRetired: it has been retired; the message names its successor.
    """
    if not _is_retired(choice, today):
        return
    words = f"was retired on {choice.model.retires}"
    raise ModelRetired(f"model '{choice.name}' {words}; {_name_successor(choice)}")


def describe_retirement(choice: ModelChoice, today: date) -> str:
    """Return when a model will be retired and what succeeds it; empty where that is not soon."""
    day = choice.model.retires
    if day is None or not today < day <= today + SOON:
        return ""
    left = (day - today).days
    days = "1 day" if left == 1 else f"{left} days"
    return f"model '{choice.name}' retires on {day}, in {days}; {_name_successor(choice)}"


def check_request(choice: ModelChoice, request: ChatRequest) -> None:
    """Check that a model can do what a request asks for.

    Raises:
        PromptInvalid: it has no temperature, system text, tools or schema, or its limit is lower.
    """
    model = choice.model
    asked = {
        "temperature": (request.temperature is not None, model.temperature),
        "system": (request.system is not None, model.system),
        "tools": (bool(request.tools), model.tools),
        "output_schema": (request.output_schema is not None, model.output_schema),
    }
    for key, (is_asked, is_able) in asked.items():
        if is_asked and not is_able:
            raise PromptInvalid(
                f"{key}: {choice.describe()} takes none ({FILE}); next: leave it out, or name "
                "another model"
            )
    most = min(model.max_tokens, model.context - 1)
    if not 1 <= request.max_tokens <= most:
        raise PromptInvalid(
            f"max_tokens: found {request.max_tokens}; allowed for {choice.describe()}: 1 to {most}"
        )


def _make_choice(config: ProvidersConfig, asked: str, name: str) -> ModelChoice:
    model = config.models[name]
    return ModelChoice(asked, name, model, config.providers[model.provider])


def _name_successor(choice: ModelChoice) -> str:
    successor = choice.model.successor
    if successor:
        return f"its successor is '{successor}'; next: name it in a new version of the prompt"
    return "it has no successor in the file; next: name another model in a new version"


def _is_retired(choice: ModelChoice, today: date) -> bool:
    return choice.model.retires is not None and today >= choice.model.retires
