"""The way to prompts and language models, whose code is imported when it is needed first.

A gateway that serves models only never imports it: neither the client of the providers, nor the
prompts, nor the guardrails.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from serving.http.admission import CallerAdmission
from serving.http.replies import Receive, Scope, Send
from serving.llm.prompts import LoadedPrompt
from serving.llm.providers import ModelProviders
from serving.log.request_log import RequestLog
from serving.routing.breaker import WorkerBreakers
from serving.routing.model_table import ModelTable
from serving.routing.shadow import ShadowCalls
from sluice.config.serving import LimitsConfig
from sluice.errors import ConfigInvalid

if TYPE_CHECKING:
    from serving.http.llm.endpoints import LanguageEndpoints

PROMPTS, DIALECTS = "/v1/prompts/", ("/v1/chat/completions", "/v1/messages")


def is_language(path: str) -> bool:
    """Whether a path is answered here."""
    return path.startswith(PROMPTS) or path in DIALECTS


class LateEndpoints:
    """The endpoints of one worker."""

    def __init__(
        self,
        parts: tuple[RequestLog, WorkerBreakers, ShadowCalls],
        providers: ModelProviders,
        limits: LimitsConfig,
        read_table: Callable[[], ModelTable],
    ) -> None:
        self._parts, self._providers = parts, providers
        self._limits, self._read_table = limits, read_table
        self._endpoints: LanguageEndpoints | None = None

    async def prepare(self) -> None:
        """Import the code and open the providers, before the first caller comes.

        Raises:
            ConfigInvalid: a file of settings is not valid.
        """
        await asyncio.to_thread(_import)
        await self._providers.open()

    async def answer(
        self, admission: CallerAdmission, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer one request to a path that is answered here."""
        if self._endpoints is None:
            await asyncio.to_thread(_import)
            from serving.http.llm.endpoints import LanguageEndpoints
            from serving.http.llm.exchange import ExchangeParts

            self._endpoints = LanguageEndpoints(
                ExchangeParts(*self._parts),
                self._providers,
                admission,
                self._limits,
                self._read_table,
            )
        await self._endpoints.answer(scope, receive, send)

    async def find_fault(self, prompt: LoadedPrompt) -> str:
        """Return why a prompt's candidate failed its smoke test; empty if it passed."""
        try:
            await self.prepare()
            opened = await self._providers.open()
        except ConfigInvalid as error:
            return str(error)
        from serving.http.llm.smoke import smoke_prompt

        return await smoke_prompt(prompt, opened)

    async def close(self) -> None:
        """Close the connections to providers."""
        await self._providers.close()


def _import() -> None:
    import serving.http.llm.endpoints  # noqa: F401
