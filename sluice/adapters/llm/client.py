"""The one interface to language models: a whole reply, or one in chunks.

It is written on aiohttp for both dialects, and evaluation and the gateway use the same lines: what
was evaluated is then what serves.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType

import aiohttp

from sluice.adapters.llm.anthropic import Messages
from sluice.adapters.llm.dialect import ModelAnswer
from sluice.adapters.llm.events import EventDecoder
from sluice.adapters.llm.keys import read_key
from sluice.adapters.llm.local import LocalModel, start_local_model
from sluice.adapters.llm.openai import ChatCompletions
from sluice.adapters.llm.slots import RequestSlots
from sluice.adapters.llm.transport import (
    AttemptFailed,
    CallTrace,
    Deadlines,
    Link,
    post,
    read_pieces,
    read_to_end,
)
from sluice.config.llm.providers import AnthropicProvider, LocalProvider, ProvidersConfig
from sluice.errors import ProviderUnavailable, SluiceError
from sluice.prompts.calls.choice import ModelChoice, check_request, choose_fallback, choose_model
from sluice.prompts.calls.pricing import find_price
from sluice.prompts.calls.waits import plan_wait
from sluice.prompts.chat import ChatChunk, ChatReply, ChatRequest, TokenUsage

LOCAL = ChatCompletions("max_tokens")


def _read_today() -> date:
    return datetime.now(UTC).date()


class LanguageModels:
    """The models of `configs/llm/providers.yaml` in one environment, inside one event loop.

    Use it with `async with`. `logs` is the folder for the output of the local model.
    """

    def __init__(
        self,
        config: ProvidersConfig,
        environment: str,
        logs: Path,
        read_today: Callable[[], date] = _read_today,
    ) -> None:
        self._config, self._environment, self._logs = config, environment, logs
        self._read_today = read_today
        self._session: aiohttp.ClientSession | None = None
        self._slots: dict[str, RequestSlots] = {}
        self._locals: dict[str, LocalModel] = {}
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> "LanguageModels":
        """Open the connections."""
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections, and end the local model if one runs."""
        if self._session:
            await self._session.close()
        for process in self._locals.values():
            await asyncio.to_thread(process.stop)

    def choose(self, name: str) -> ModelChoice:
        """Return the model that answers for a name that a prompt uses.

        Raises:
            ConfigInvalid: no such model is known, or the environment refuses it.
            ModelRetired: its provider has retired it.
        """
        return choose_model(self._config, name, self._environment, self._read_today())

    def list_choices(self, request: ChatRequest, *, may_fall_back: bool) -> list[ModelChoice]:
        """Return the models that may answer a request: its own, then the fallback where it may.

        Raises:
            ConfigInvalid: no such model is known, or the environment refuses it.
            ModelRetired: its provider has retired it.
        """
        choice = self.choose(request.model)
        fallback = self._find_fallback(choice, request) if may_fall_back else None
        return [choice, fallback] if fallback else [choice]

    async def complete(
        self, request: ChatRequest, trace: CallTrace | None = None, *, may_fall_back: bool = False
    ) -> ChatReply:
        """Return a model's whole answer.

        `may_fall_back` lets the model's fallback answer where the provider does not.

        Raises:
            ConfigInvalid: no such model is known, or the environment refuses it.
            ModelRetired: its provider has retired it.
            PromptInvalid: the model cannot do what the request asks for.
            ProviderRefused: the provider refuses the key or the request.
            ProviderUnavailable: it does not answer in time, or answers garbage.
        """
        trace = trace or CallTrace()
        async with aclosing(self._call(request, trace, False, may_fall_back)) as chunks:
            async for chunk in chunks:
                if chunk.reply:
                    return chunk.reply
        raise AssertionError("an attempt ends with a reply or an error")

    def stream(
        self, request: ChatRequest, trace: CallTrace | None = None, *, may_fall_back: bool = False
    ) -> AsyncGenerator[ChatChunk, None]:
        """Yield a model's answer as it arrives; the last chunk has the whole reply.

        Close it with `aclosing` where it is not read to its end. Nothing is tried again, and no
        fallback answers, once a chunk was given out. It raises what `complete` raises.
        """
        return self._call(request, trace or CallTrace(), True, may_fall_back)

    async def _call(
        self, request: ChatRequest, trace: CallTrace, is_streamed: bool, may_fall_back: bool
    ) -> AsyncGenerator[ChatChunk, None]:
        choice: ModelChoice | None = self.choose(request.model)
        has_begun = False
        while choice:
            try:
                async with aclosing(self._ask(choice, request, trace, is_streamed)) as chunks:
                    async for chunk in chunks:
                        has_begun = True
                        yield chunk
                return
            except ProviderUnavailable:
                choice = self._find_fallback(choice, request) if may_fall_back else None
                if has_begun or choice is None:
                    raise
                may_fall_back, trace.is_fallback = False, True
                trace.has_lost_cost, trace.usage = trace.may_have_cost, TokenUsage()

    def _find_fallback(self, choice: ModelChoice, request: ChatRequest) -> ModelChoice | None:
        found = choose_fallback(self._config, choice, self._environment, self._read_today())
        if found:
            with suppress(SluiceError):
                check_request(found, request)
                return found
        return None

    async def _ask(
        self, choice: ModelChoice, request: ChatRequest, trace: CallTrace, is_streamed: bool
    ) -> AsyncGenerator[ChatChunk, None]:
        """Make attempts until one succeeds or no other may.

        Raises:
            SluiceError: what the last attempt found.
        """
        check_request(choice, request)
        slots, retries = self._find_slots(choice), choice.provider.retries
        for number in itertools.count(1):
            trace.attempts += 1
            has_begun = False
            try:
                async with slots.take() as slot:
                    try:
                        link = await self._link(choice)
                        attempt = self._stream_once if is_streamed else self._complete_once
                        async with aclosing(attempt(link, choice, request, trace)) as chunks:
                            async for chunk in chunks:
                                has_begun = True
                                yield chunk
                        return
                    except AttemptFailed as failure:
                        if failure.is_refusal:
                            slot.refuse(failure.wait)
                        raise
            except AttemptFailed as failure:
                wait = plan_wait(number, failure.wait, retries.longest_wait, random.random())  # noqa: S311
                if has_begun or not failure.again or number == retries.attempts or wait is None:
                    raise _explain(failure, number, wait) from failure
            await asyncio.sleep(wait)

    async def _complete_once(
        self, link: Link, choice: ModelChoice, request: ChatRequest, trace: CallTrace
    ) -> AsyncGenerator[ChatChunk, None]:
        body = link.dialect.write(request, choice.model.id, stream=False)
        began, deadlines = _now(), Deadlines(link.limits, stream=False)
        async with post(self._session_of_loop, link, body, deadlines, trace) as response:
            pieces = [piece async for piece in read_pieces(response, link, deadlines)]
            answer = link.dialect.read(b"".join(pieces))
        trace.usage = answer.usage
        yield ChatChunk(reply=_make_reply(answer, choice, _now() - began))

    async def _stream_once(
        self, link: Link, choice: ModelChoice, request: ChatRequest, trace: CallTrace
    ) -> AsyncGenerator[ChatChunk, None]:
        body = link.dialect.write(request, choice.model.id, stream=True)
        began, first = _now(), None
        reader, decoder = link.dialect.open_stream(), EventDecoder()
        deadlines = Deadlines(link.limits, stream=True)
        async with post(self._session_of_loop, link, body, deadlines, trace) as response:
            async with aclosing(read_pieces(response, link, deadlines)) as pieces:
                async for piece in pieces:
                    for event in decoder.feed(piece):
                        text = reader.read(event)
                        trace.usage = reader.usage
                        if reader.has_begun and first is None:
                            first = _now() - began
                        if text:
                            yield ChatChunk(text)
                    if reader.is_over:
                        break
            answer, seconds = reader.finish(), _now() - began
            await read_to_end(response)
        yield ChatChunk(reply=_make_reply(answer, choice, seconds, first))

    @property
    def _session_of_loop(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("LanguageModels is used with `async with`")
        return self._session

    def _find_slots(self, choice: ModelChoice) -> RequestSlots:
        name, provider = choice.model.provider, choice.provider
        if name not in self._slots:
            self._slots[name] = RequestSlots(provider.concurrency, provider.retries.longest_wait)
        return self._slots[name]

    async def _link(self, choice: ModelChoice) -> Link:
        """Return the way to a provider, with its key of this moment; start the local model.

        Raises:
            ProviderRefused: there is no key, or the local model is not installed.
            ProviderUnavailable: the local model does not start.
        """
        name, provider = choice.model.provider, choice.provider
        if isinstance(provider, LocalProvider):
            process = await self._start_local(choice)
            return Link(name, process.url, LOCAL, provider.limits, process.key)
        key = read_key(name, provider.key) if provider.key else ""
        if isinstance(provider, AnthropicProvider):
            return Link(name, provider.url, Messages(), provider.limits, key)
        dialect = ChatCompletions(provider.output_limit)
        return Link(name, provider.url, dialect, provider.limits, key)

    async def _start_local(self, choice: ModelChoice) -> LocalModel:
        async with self._starting:
            found = self._locals.get(choice.name)
            if found is None or not found.is_alive:
                model = choice.model
                found = await asyncio.to_thread(
                    start_local_model, model.id, model.context, self._logs
                )
                self._locals[choice.name] = found
            return found


def _now() -> float:
    return asyncio.get_running_loop().time()


def _make_reply(
    answer: ModelAnswer, choice: ModelChoice, seconds: float, first: float | None = None
) -> ChatReply:
    return ChatReply(
        text=answer.text,
        model=answer.model or choice.model.id,
        provider=choice.model.provider,
        usage=answer.usage,
        finish_reason=answer.finish_reason,
        seconds=seconds,
        first_token_seconds=first,
        tool_calls=answer.tool_calls,
        cost=find_price(choice).compute(answer.usage),
    )


def _explain(failure: AttemptFailed, attempts: int, wait: float | None) -> SluiceError:
    """Return the error of the last attempt, with how often it was tried and why no more."""
    words = str(failure.error)
    if attempts > 1:
        words += f"; tried {attempts} times"
    if failure.again and wait is None:
        words += f"; it asks to wait {failure.wait:g} s, more than retries.longest_wait"
    return type(failure.error)(words)
