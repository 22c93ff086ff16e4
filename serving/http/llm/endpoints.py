"""The endpoints of prompts and models: `/v1/prompts/NAME`, and those of both dialects."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from urllib.parse import quote

from serving.http.admission import CallerAdmission, InFlight, require_method
from serving.http.handler import FULL_SECONDS
from serving.http.keys import read_key
from serving.http.language import PROMPTS
from serving.http.large_bodies import LARGE_BYTES, LargeBodies
from serving.http.llm.anthropic_dialect import MessageDialect
from serving.http.llm.asked import AnswerDialect, LanguageRequest
from serving.http.llm.exchange import AnswerFailed, Exchange, ExchangeParts
from serving.http.llm.handler import Caller, PromptHandler, name_direct
from serving.http.llm.openai_dialect import CompletionDialect
from serving.http.llm.plain_dialect import PlainDialect
from serving.http.replies import (
    CallFailed,
    Header,
    Receive,
    Reply,
    Scope,
    Send,
    ask_again,
    explain,
    send_reply,
)
from serving.http.requests import CallerGone, read_body
from serving.http.trace import read_trace
from serving.llm.calls import BLOCKED, PromptCall
from serving.llm.providers import ModelProviders
from serving.routing.model_table import ModelTable, PromptEntry
from sluice.config.serving import LimitsConfig
from sluice.errors import ConfigInvalid, RequestInvalid, SluiceError, SpoolFull

TRANSIENT = ("busy", "timeout", "unavailable", "store")
"""Failures that may be over in a moment: 503. Others are 502, and asking again does not help."""
NO_RETRY = (b"x-should-retry", b"false")
"""What official clients of both dialects obey: the gateway has tried often enough."""
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]


class CallerWatch:
    """Ends a block when its caller hangs up; whoever answers must stop then.

    The block ends with `CallerGone` in place of the cancellation.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_gone = False

    async def __aenter__(self) -> None:
        """Begin to watch."""
        self._task = asyncio.current_task()
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching.

        Raises:
            CallerGone: the caller hung up.
        """
        self._watcher.cancel()
        if self._is_gone and self._task is not None:
            self._task.uncancel()
            if kind is asyncio.CancelledError:
                raise CallerGone from error

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task is not None:
            self._is_gone = True
            self._task.cancel()


class LanguageEndpoints:
    """Answers the requests of one worker to prompts and models."""

    def __init__(
        self,
        parts: ExchangeParts,
        providers: ModelProviders,
        admission: CallerAdmission,
        limits: LimitsConfig,
        read_table: Callable[[], ModelTable],
    ) -> None:
        self._parts, self._providers, self._admission = parts, providers, admission
        self._limits, self._read_table = limits, read_table
        self._in_flight = InFlight(limits.language_in_flight)
        self._large_bodies = LargeBodies()
        self._handler: PromptHandler | None = None
        self._plain = PlainDialect()
        self._dialects: dict[str, AnswerDialect] = {
            "/v1/chat/completions": CompletionDialect(),
            "/v1/messages": MessageDialect(),
        }

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; its errors are written as its endpoint's clients read them."""
        dialect, name = self._find_dialect(scope["path"])
        try:
            await self._answer(scope, receive, send, dialect, name)
            return
        except CallFailed as failure:
            reply = failure.reply
        except RequestInvalid as error:
            reply = explain(422, str(error))
        except SpoolFull:
            reply = ask_again("the log has no room", "", FULL_SECONDS)
        except CallerGone:
            return
        await send_reply(send, dialect.explain(reply))

    def _find_dialect(self, path: str) -> tuple[AnswerDialect, str]:
        if path.startswith(PROMPTS):
            return self._plain, path[len(PROMPTS) :]
        return self._dialects[path], ""

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, dialect: AnswerDialect, name: str
    ) -> None:
        self._admission.check_host(scope)
        require_method(scope["method"], "POST")
        self._admission.admit(scope, name)
        if dialect is self._plain:
            self._find_entry(name)
        body = await read_body(receive, scope["headers"], self._limits)
        if len(body) > LARGE_BYTES:
            asked = await self._large_bodies.read(body, lambda part: dialect.read(part, name))
        else:
            asked = dialect.read(body, name)
        with self._in_flight:
            exchange = await self._open_exchange(scope, asked)
            try:
                async with CallerWatch(receive):
                    await self._deliver(send, dialect, asked, exchange)
            except (CallerGone, asyncio.CancelledError):
                await exchange.leave()
                raise
            finally:
                exchange.start_shadow()

    async def _open_exchange(self, scope: Scope, asked: LanguageRequest) -> Exchange:
        if self._parts.request_log.is_full:
            raise SpoolFull("the log has no room")
        caller = Caller(read_key(scope["headers"]), read_trace(scope["headers"]))
        if asked.prompt:
            self._admission.admit(scope, asked.prompt)
            entry = self._find_entry(asked.prompt)
            return await (await self._open_handler()).ask_prompt(entry, asked, caller)
        if asked.chat is None:
            raise RequestInvalid("model: found nothing; allowed: a prompt or a model")
        self._admission.admit(scope, name_direct(asked.chat.model))
        return await (await self._open_handler()).ask_model(asked, asked.chat, caller)

    async def _open_handler(self) -> PromptHandler:
        if self._handler is None:
            try:
                opened = await self._providers.open()
            except ConfigInvalid as error:
                message = f"no language model can be asked: {error}"
                raise CallFailed(ask_again(message)) from error
            self._handler = self._handler or PromptHandler(self._parts, opened)
        return self._handler

    def _find_entry(self, service: str) -> PromptEntry:
        table = self._read_table()
        entry = table.prompts.get(service)
        if entry is not None:
            return entry
        if not table.has_routes:
            raise CallFailed(ask_again("no routes were read yet"))
        known = ", ".join(table.prompts) or "none yet"
        hint = "; next: sluice prompt publish NAME VERSION" if not table.prompts else ""
        message = f"prompt: found {service[:100]}; allowed: {known}{hint}"
        raise CallFailed(explain(404, message))

    async def _deliver(
        self, send: Send, dialect: AnswerDialect, asked: LanguageRequest, exchange: Exchange
    ) -> None:
        """Send the answer, whole or in pieces; before the first piece an error is a reply."""
        request_id = exchange.context.request_id
        try:
            await exchange.begin()
            if not asked.is_streamed:
                while await exchange.read() is not None:
                    pass
        except AnswerFailed as failure:
            raise CallFailed(explain_failure(exchange, failure.call)) from failure
        except SpoolFull:
            reply = ask_again("the log has no room", request_id, FULL_SECONDS)
            raise CallFailed(reply) from None
        if asked.is_streamed:
            await self._stream(send, dialect, asked, exchange)
        else:
            reply = dialect.write(exchange.describe())
            await send_reply(send, replace(reply, headers=_name_request(request_id)))

    async def _stream(
        self, send: Send, dialect: AnswerDialect, asked: LanguageRequest, exchange: Exchange
    ) -> None:
        stream = dialect.open(exchange.start, asked)
        request_id = exchange.context.request_id
        headers = [*STREAM_HEADERS, *_name_request(request_id)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _send_part(send, stream.begin())
        try:
            while (piece := await exchange.read()) is not None:
                await _send_part(send, stream.write(piece))
            last = stream.end(exchange.describe())
        except AnswerFailed as failure:
            last = stream.fail(dialect.explain(explain_failure(exchange, failure.call)))
        except SpoolFull:
            reply = ask_again("the log has no room", request_id, FULL_SECONDS)
            last = stream.fail(dialect.explain(reply))
        await _send_part(send, last, more=False)


def _name_request(request_id: str) -> tuple[Header, ...]:
    """Return the headers by which official clients tell a request's id."""
    value = quote(request_id, safe=" !#$%&'()*+,/:;<=>?@[]^`{|}~").encode()
    return (b"x-request-id", value), (b"request-id", value)


async def _send_part(send: Send, part: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": more})


def explain_failure(exchange: Exchange, call: PromptCall) -> Reply:
    """Return the reply where no arm has an answer, with the reason in words."""
    request_id = exchange.context.request_id
    if call.reason == BLOCKED:
        rules = [hit.split(":")[1] for hit in exchange.context.hits if hit.endswith(":block")]
        message = f"a guardrail holds the request back: found {', '.join(dict.fromkeys(rules))}"
        return explain(400, f"{message}; next: leave it out", request_id)
    words = str(call.error) if isinstance(call.error, SluiceError) else call.reason
    message = f"no answer: {words}"
    if call.reason == "budget":
        return explain(429, message, request_id, NO_RETRY)
    if call.reason in TRANSIENT:
        return explain(503, message, request_id, (b"retry-after", b"1"), NO_RETRY)
    return explain(502, message, request_id, NO_RETRY)
