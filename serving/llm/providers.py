"""The language models of a worker: opened when they are needed first, closed with the worker."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.adapters.control.spending import Spending
from sluice.errors import SluiceError
from sluice.home import Home

if TYPE_CHECKING:  # a gateway of models imports none of it
    from sluice.adapters.llm.client import LanguageModels
    from sluice.adapters.llm.metering import MeteredModels
    from sluice.config.llm.providers import ProvidersConfig
    from sluice.config.llm.serving import LanguageServingConfig
    from sluice.guardrails.injection import InjectionDetector


@dataclass(frozen=True)
class OpenedModels:
    """Language models that can be asked, and what keeps their calls within budgets."""

    models: "LanguageModels"
    metered: "MeteredModels"
    config: "LanguageServingConfig"
    detector: "InjectionDetector | None" = None
    """Finds injected instructions; None where no settings ask for it, or it cannot be loaded."""
    no_detector: str = ""
    """Why there is none, though settings ask for it."""


class ModelProviders:
    """Opens the language models of an environment once, in the event loop of a worker."""

    def __init__(self, home: Home, environment: str, spending: Spending) -> None:
        self._home, self._environment, self._spending = home, environment, spending
        self._opened: OpenedModels | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> OpenedModels:
        """Return the models; libraries and settings are read in a thread, when first asked for.

        Raises:
            ConfigInvalid: a file of settings is not valid; it is read again the next time.
        """
        if self._opened is None:
            async with self._opening:
                if self._opened is None:
                    self._opened = await self._open(*await asyncio.to_thread(_import))
        return self._opened

    async def close(self) -> None:
        """Close the connections, and end the local model if one runs."""
        if self._opened is not None:
            await self._opened.models.__aexit__(None, None, None)
            self._opened = None

    async def _open(
        self,
        config: "ProvidersConfig",
        serving: "LanguageServingConfig",
        detector: "InjectionDetector | str | None",
    ) -> OpenedModels:
        from sluice.adapters.llm.client import LanguageModels
        from sluice.adapters.llm.metering import MeteredModels

        models = LanguageModels(config, self._environment, self._home.logs)
        await models.__aenter__()
        metered = MeteredModels(models, self._spending)
        if isinstance(detector, str):
            return OpenedModels(models, metered, serving, no_detector=detector)
        return OpenedModels(models, metered, serving, detector)


def _import() -> "tuple[ProvidersConfig, LanguageServingConfig, InjectionDetector | str | None]":
    """Import everything that a call needs, and read the files of settings."""
    import genai_prices  # noqa: F401

    import sluice.adapters.llm.client
    import sluice.adapters.llm.metering
    import sluice.prompts.rendering  # noqa: F401
    from sluice.config.llm.loading import load_language_serving, load_providers

    serving = load_language_serving()
    return load_providers(), serving, _load_detector(serving)


def _load_detector(serving: "LanguageServingConfig") -> "InjectionDetector | str | None":
    """Return the detector of injected instructions, where settings ask for it, or why not."""
    from sluice.guardrails.inspection import INJECTION

    settings = (serving.defaults, *serving.services.values())
    if not any(INJECTION in item.guardrails.input for item in settings):
        return None
    from sluice.adapters.injection_detector import load_detector

    try:
        return load_detector()
    except SluiceError as error:
        return f"guardrail {INJECTION}: {error}, then start the gateway again"
