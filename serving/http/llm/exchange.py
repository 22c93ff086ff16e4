"""One request to a prompt or a model, from its assigned arm to its logged answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from serving.http.llm.asked import AnswerStart, LanguageAnswer
from serving.llm.agreement import differ
from serving.llm.calls import BLOCKED, PromptCall
from serving.llm.tracing import RequestTrace
from serving.log.records import Answer, AssignedArm, Shadow
from serving.log.request_log import RequestLog
from serving.routing.assignment import Assignment
from serving.routing.breaker import WorkerBreakers
from serving.routing.model_table import LoadedVersion
from serving.routing.outcome import CallOutcome, describe_answer
from serving.routing.prompt_calls import PromptPool
from serving.routing.shadow import ShadowCalls
from sluice.control.route import Route
from sluice.prompts.chat import TokenUsage, ToolCall

MakeCall = Callable[[LoadedVersion, bool], PromptCall]
"""Returns the call of a version; True: of the candidate, which has the champion as fallback."""


class PromptContext(NamedTuple):
    """A request after it was read and assigned to an arm."""

    route: Route
    champion: LoadedVersion
    name: str
    """The model as the caller named it."""
    inputs: bytes
    """What was asked as JSON, as it is logged."""
    request_id: str
    unit: str
    """The hash of its unit, as it is logged."""
    given_unit: str | None
    assignment: Assignment[PromptPool]
    trace_id: str | None = None
    hits: tuple[str, ...] = ()
    """What guardrails found in what was asked, and let pass."""


@dataclass(frozen=True)
class ExchangeParts:
    """What every exchange of a worker shares."""

    request_log: RequestLog
    breakers: WorkerBreakers
    shadow_calls: ShadowCalls


class AnswerFailed(Exception):  # noqa: N818
    """No arm has an answer, or the answer broke off; the call has the reason."""

    def __init__(self, call: PromptCall) -> None:
        super().__init__(call.reason)
        self.call = call


class Exchange:
    """The calls of one request, and its record; use `begin`, then `read` to the end, or `leave`."""

    def __init__(
        self,
        parts: ExchangeParts,
        context: PromptContext,
        make: MakeCall,
        trace: RequestTrace,
        *,
        is_blocked: bool = False,
    ) -> None:
        self._parts, self.context, self._make = parts, context, make
        self._trace, self._is_blocked = trace, is_blocked
        self._tried: PromptCall | None = None
        self._last: PromptCall | None = None
        self._is_recorded = False

    @property
    def start(self) -> AnswerStart:
        """What is known once the answer begins."""
        context = self.context
        by_candidate = self._tried is not None and self._tried is self._last
        version = context.route.candidate if by_candidate else context.champion.version
        return AnswerStart(
            context.request_id,
            context.name,
            context.route.service,
            version or 0,
            str(context.assignment.arm),
            int(time.time()),
        )

    async def begin(self) -> None:
        """Ask the assigned arm, and the champion where a candidate has nothing that may leave.

        Raises:
            AnswerFailed: the champion has no answer either, or a guardrail keeps the request from
                every model.
            SpoolFull: the failure cannot be logged.
        """
        pool, champion = self.context.assignment.pool, self.context.champion
        if self._is_blocked:
            self._last = self._make(champion, False)
            self._last.reason = BLOCKED
            await self._last.close()
            await self.record()
            raise AnswerFailed(self._last)
        if pool is not None:
            self._tried = self._make(pool.prompt, True)
            await pool.begin(self._tried)
            if not self._tried.failed and not self._is_held(self._tried):
                self._last = self._tried
                return
            await self._tried.close()
        self._last = self._make(champion, False)
        try:
            await self._last.begin()
        except Exception as error:  # whatever it raises, the caller gets a whole reply
            await self._fail(self._last, error)

    async def read(self) -> str | None:
        """Return the next piece of the answer; None at its end, when it is logged.

        Raises:
            AnswerFailed: the answer broke off; it is logged as a failure of its arm.
            SpoolFull: it cannot be logged.
        """
        call = self._require_call()
        try:
            piece = await call.read()
        except Exception as error:  # likewise
            await self._fail(call, error)
            raise AssertionError("a failed call raises") from error
        if piece is None:
            await self.record()
        return piece

    async def leave(self) -> None:
        """End the exchange of a caller that went away; what was used is logged.

        Raises:
            SpoolFull: it cannot be logged.
        """
        call = self._last or self._tried
        if call is not None and not self._is_recorded:
            call.leave()
            await call.close()
            self._last = call
            await self.record()

    def start_shadow(self) -> None:
        """Ask the candidate for a copy, where it is in shadow; the caller waits for nothing."""
        pool = self.context.assignment.shadow
        if pool is not None:
            own = self._last if self._last is not None and not self._last.failed else None
            copy = PromptShadow(pool, self.context, self._make, own)
            self._parts.shadow_calls.start(copy)

    async def record(self) -> None:
        """Log the request, once; the breakers learn how its calls ended.

        Raises:
            SpoolFull: there is no room.
        """
        if self._is_recorded:
            return
        self._is_recorded = True
        outcome = CallOutcome(self._tried, self._require_call())
        self._observe(outcome)
        self._end_trace()
        await self._parts.request_log.record(build_record(self.context, outcome))

    def describe(self) -> LanguageAnswer:
        """Return the whole answer, once it was read to its end."""
        call, context = self._require_call(), self.context
        reply = call.reply
        finish = "content_filter" if call.is_blocked or reply is None else reply.finish_reason
        is_fallback = call.trace.is_fallback or (
            self._tried is not None and self._tried is not call
        )
        return LanguageAnswer(
            self.start,
            call.text,
            finish,
            call.usage,
            call.tool_calls,
            reply.model if reply else "",
            reply.provider if reply else "",
            reply.cost if reply else None,
            context.given_unit,
            is_fallback,
            (*context.hits, *call.guard.hits),
        )

    async def _fail(self, call: PromptCall, error: Exception) -> None:
        call.fail(error)
        await call.close()
        if call.is_evidence or (self._tried is not None and self._tried.is_evidence):
            await self.record()
        self._end_trace()
        raise AnswerFailed(call) from error

    def _end_trace(self) -> None:
        """Send the spans of the request, once."""
        calls = dict.fromkeys(call for call in (self._tried, self._last) if call is not None)
        start = self.start
        self._trace.end(start.request_id, start.version, start.arm, *calls)

    def _observe(self, outcome: CallOutcome[PromptCall]) -> None:
        route, champion = self.context.route, self.context.champion.version
        tried, last = outcome
        if tried is not None and tried.is_evidence and route.candidate is not None:
            is_probe, now = self.context.assignment.is_probe, time.monotonic()
            self._parts.breakers.observe_candidate(
                route.service, route.candidate, tried.failed, now, is_probe
            )
        if last is not tried and last.is_evidence and champion:
            self._parts.breakers.observe_champion(route.service, champion, last.failed)

    def _require_call(self) -> PromptCall:
        if self._last is None:
            raise RuntimeError("an exchange begins before it is read")
        return self._last

    @staticmethod
    def _is_held(call: PromptCall) -> bool:
        """Whether a guardrail holds all of an answer back: then the champion can answer."""
        return call.is_blocked and not call.has_begun


@dataclass(frozen=True, eq=False)
class PromptShadow:
    """A copy of a request for a prompt's candidate."""

    pool: PromptPool
    context: PromptContext
    make: MakeCall
    champion: PromptCall | None = None
    """The call that answered the caller; None where it failed."""

    @property
    def is_probe(self) -> bool:
        """Whether it tests a candidate whose breaker is open; then it is not logged."""
        return self.context.assignment.is_probe

    async def ask(self) -> tuple[Shadow, bool]:
        """Ask the candidate; return the record, and whether it says something about it."""
        call = self.make(self.pool.prompt, True)
        try:
            await self.pool.begin(call)
            while not call.failed and await call.read() is not None:
                pass
        except Exception as error:  # a bug of the candidate is its failure, too
            call.fail(error)
        finally:
            await call.close()
        differs = await differ(self.pool.prompt.prompt, self.context.inputs, self.champion, call)
        return self._describe(call, differs), call.is_evidence

    def _describe(self, call: PromptCall, differs: bool | None) -> Shadow:
        route, usage = self.context.route, call.usage
        return Shadow(
            request_id=self.context.request_id,
            service=route.service,
            version=self.pool.prompt.version,
            epoch=route.epoch,
            at=time.time(),
            latency_ms=call.latency_ms,
            failed=call.failed,
            reason=call.reason,
            differs=differs,
            outputs=_encode(call),
            guardrail=bool(call.guard.hits),
            cost=call.reply.cost if call.reply else None,
            cost_cap=route.cost_cap,
            **_count(usage, call.first_byte_ms),
        )


def build_record(context: PromptContext, outcome: CallOutcome[PromptCall]) -> Answer:
    """Return the record of a request: tokens of the assigned arm, costs of all calls."""
    tried, last = outcome
    is_candidate = context.assignment.arm is AssignedArm.CANDIDATE
    own = tried if is_candidate and tried is not None else last
    record = describe_answer(context, outcome, context.inputs, _encode(last))
    calls = [last] if tried is None or tried is last else [tried, last]
    costs = [call.reply.cost for call in calls if call.reply and call.reply.cost is not None]
    return msgspec.structs.replace(
        record,
        fallback=outcome.is_fallback or last.trace.is_fallback,
        guardrail=bool(own.guard.hits),
        hits=(*context.hits, *own.guard.hits) or None,
        cost=sum(costs) if costs else None,
        cost_cap=context.route.cost_cap,
        **_count(own.usage, own.first_byte_ms),
    )


def _count(usage: TokenUsage, first_byte_ms: float | None) -> dict[str, Any]:
    """Return the tokens as records have them: those of a cache are part of the input."""
    known, sent = usage.is_known, usage.input
    return {
        "input_tokens": None if sent is None else sent + usage.cache_read + usage.cache_write,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read if known else None,
        "cache_write_tokens": usage.cache_write if known else None,
        "first_byte_ms": first_byte_ms,
    }


def _encode(call: PromptCall) -> bytes:
    """Return what the caller got, as it is logged; nothing where a guardrail held it back."""
    if call.reply is None and not call.text:
        return b""
    values: dict[str, object] = {"text": call.guard.restate(call.text)}
    if call.reply is not None:
        finish = "content_filter" if call.is_blocked else call.reply.finish_reason
        values |= {"finish_reason": finish, "model": call.reply.model}
    if call.tool_calls:
        values["tool_calls"] = [_plain(tool) for tool in call.tool_calls]
    return msgspec.json.encode(values)


def _plain(tool: ToolCall) -> dict[str, str]:
    return {"name": tool.name, "arguments": tool.arguments}
