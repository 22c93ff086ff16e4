"""Requests to prompts and models: checked, assigned to an arm, and rendered."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from serving.http.llm.asked import LanguageRequest
from serving.http.llm.exchange import Exchange, ExchangeParts, PromptContext
from serving.http.llm.inspection import InspectedRequest, inspect_request
from serving.http.replies import CallFailed, ask_again, explain
from serving.http.requests import RequestIds
from serving.llm.answer_cache import AnswerCache
from serving.llm.calls import PromptCall
from serving.llm.guards import open_guard
from serving.llm.prompts import LoadedPrompt
from serving.llm.providers import OpenedModels
from serving.llm.tracing import RequestTrace
from serving.log.records import AssignedArm
from serving.routing.assignment import Assignment, assign_request
from serving.routing.model_table import LoadedVersion, PromptEntry
from serving.routing.prompt_calls import PromptPool
from sluice.adapters.llm.client import LanguageModels
from sluice.adapters.llm.metering import CallTerms
from sluice.adapters.telemetry.tracing import find_tracer
from sluice.config.llm.budgets import list_budgets
from sluice.config.llm.serving import LiveConfig
from sluice.control.route import Route
from sluice.control.spending import Budget
from sluice.errors import ConfigInvalid, ModelRetired, PromptInvalid, RequestInvalid, SluiceError
from sluice.guardrails.actions import GuardrailRules
from sluice.guardrails.inspection import INJECTION
from sluice.prompts.calls.choice import check_request
from sluice.prompts.chat import ChatChunk, ChatRequest
from sluice.prompts.rendering import render_request
from sluice.rollout.assignment import hash_unit
from sluice.traces import TraceParent

DIRECT = "model."
"""Beginning of the service under which a model that is asked itself is logged; no service has a
dot in its name."""
STRANGE = re.compile(r"[^A-Za-z0-9_.-]")


def name_direct(model: str) -> str:
    """Return the service under which a model that is asked itself is logged, and opened by keys."""
    return DIRECT + STRANGE.sub("-", model)


@dataclass(frozen=True)
class DirectModel:
    """A model of the providers' file that is asked itself; it has no versions."""

    version: int = 0
    backend_name: str = "model"
    backend_reason: str = ""


@dataclass(frozen=True)
class Caller:
    """What a request tells of its caller: the key, and the trace that it belongs to."""

    key: bytes = b""
    trace: TraceParent | None = None

    @property
    def trace_id(self) -> str | None:
        """The trace that the request belongs to; None where its caller named none."""
        return self.trace.trace_id if self.trace else None


@dataclass(frozen=True)
class LiveService:
    """The settings of one prompt or model, and its kept answers."""

    name: str
    config: LiveConfig
    input_rules: GuardrailRules
    output_rules: GuardrailRules
    cache: AnswerCache


@dataclass(frozen=True)
class CallPlan:
    """What the calls of one request share, whichever arm makes them."""

    live: LiveService
    asked: LanguageRequest
    rendered: ChatRequest
    """What the champion asks."""
    identity: str
    """The champion's; empty for a model that is asked itself."""
    budgets: tuple[Budget, ...]
    trace: RequestTrace
    keeps_answers: bool = False
    """Whether a kept answer may be given; never during a rollout, where both arms are measured."""


class PromptHandler:
    """Makes the exchange of each request; the caller reads it to its end."""

    def __init__(self, parts: ExchangeParts, opened: OpenedModels) -> None:
        self._parts, self._models, self._metered = parts, opened.models, opened.metered
        self._config, self._opened, self._tracer = opened.config, opened, find_tracer()
        self._services: dict[str, LiveService] = {}
        self._ids = RequestIds()

    async def ask_prompt(
        self, entry: PromptEntry, asked: LanguageRequest, caller: Caller
    ) -> Exchange:
        """Return the exchange of a request to a prompt.

        Raises:
            CallFailed: 503, the prompt's version is not loaded, or a guardrail's detector is not.
            RequestInvalid: the variables are not those of the version that serves.
        """
        champion, route = entry.champion, entry.state.route
        if champion is None or route is None:
            message = f"{entry.service}: {entry.missing or 'its prompt is not loaded yet'}"
            raise CallFailed(ask_again(message))
        live = self._find_live(entry.service)
        inspected = await _inspect(live.input_rules, asked)
        rendered = _render(champion, inspected.asked)
        request_id = asked.request_id or self._ids.take()
        given = asked.unit if route.assign_by == "unit" and asked.unit else request_id
        unit = hash_unit(given)
        assignment: Assignment[PromptPool] = Assignment(AssignedArm.NONE, 0.0)
        if not inspected.is_blocked:
            now, is_low = time.monotonic(), self._parts.request_log.is_low
            assignment = assign_request(entry, route, unit, self._parts.breakers, now, is_low)
        context = PromptContext(
            route,
            champion,
            asked.name,
            _write_inputs(inspected.asked),
            request_id,
            unit,
            asked.unit,
            assignment,
            caller.trace_id,
            inspected.hits,
        )
        return self._open(context, live, inspected, rendered, caller)

    async def ask_model(
        self, asked: LanguageRequest, request: ChatRequest, caller: Caller
    ) -> Exchange:
        """Return the exchange of a request to a model of the providers' file.

        Raises:
            CallFailed: 404, no such model is known here.
            RequestInvalid: it cannot do what is asked.
        """
        request = self._check(request, asked.most_tokens is None)
        asked = replace(asked, chat=request)
        live = self._find_live(name_direct(request.model))
        inspected = await _inspect(live.input_rules, asked)
        rendered = inspected.asked.chat or request
        request_id = asked.request_id or self._ids.take()
        context = PromptContext(
            Route(live.name, 1),
            DirectModel(),
            asked.name,
            rendered.to_json().encode("utf-8", "replace"),
            request_id,
            hash_unit(asked.unit or request_id),
            asked.unit,
            Assignment(AssignedArm.NONE, 0.0),
            caller.trace_id,
            inspected.hits,
        )
        return self._open(context, live, inspected, rendered, caller)

    def _open(
        self,
        context: PromptContext,
        live: LiveService,
        inspected: InspectedRequest,
        rendered: ChatRequest,
        caller: Caller,
    ) -> Exchange:
        """Return the exchange of a request; one that a guardrail blocks asks no model."""
        given = context.unit if context.given_unit else ""
        now, limits = datetime.now(UTC), live.config.budgets
        budgets = list_budgets(limits, live.name, caller.key, given, now)
        champion = context.champion
        identity = champion.identity if isinstance(champion, LoadedPrompt) else ""
        keeps = bool(live.config.cache.seconds) and context.route.candidate is None
        trace = RequestTrace(self._tracer, caller.trace, live.name)
        plan = CallPlan(live, inspected.asked, rendered, identity, budgets, trace, keeps)

        def make(version: LoadedVersion, is_candidate: bool) -> PromptCall:
            other = version if isinstance(version, LoadedPrompt) and is_candidate else None
            return self._call(plan, other)

        return Exchange(self._parts, context, make, trace, is_blocked=inspected.is_blocked)

    def _find_live(self, service: str) -> LiveService:
        found = self._services.get(service)
        if found is None:
            config = self._config.of(service)
            guards, cache = config.guardrails, config.cache
            if INJECTION in guards.input and self._opened.detector is None:
                raise CallFailed(ask_again(f"{service}: {self._opened.no_detector}"))
            found = self._services[service] = LiveService(
                service,
                config,
                GuardrailRules(guards.input, self._opened.detector),
                GuardrailRules(guards.output),
                AnswerCache(cache.seconds, cache.entries),
            )
        return found

    def _check(self, request: ChatRequest, is_short: bool) -> ChatRequest:
        """Return a request that its model can answer; `is_short`: no limit of tokens was given."""
        try:
            choice = self._models.choose(request.model)
            if is_short:
                most = min(request.max_tokens, choice.model.max_tokens, choice.model.context - 1)
                request = replace(request, max_tokens=most)
            check_request(choice, request)
        except (ConfigInvalid, ModelRetired) as error:
            raise CallFailed(explain(404, f"model: {error}")) from error
        except PromptInvalid as error:
            raise RequestInvalid(str(error)) from error
        return request

    def _call(self, plan: CallPlan, candidate: LoadedPrompt | None) -> PromptCall:
        """Return a call of the rendered request, or of the candidate with the same variables."""
        terms = CallTerms(plan.budgets, may_fall_back=candidate is None)
        model = candidate.prompt.model if candidate else plan.rendered.model
        plan.trace.open_call(terms.trace, model)
        guards, is_streamed = plan.live.config.guardrails, plan.asked.is_streamed
        guard = open_guard(
            plan.live.output_rules, guards.stream, guards.window, is_streamed=is_streamed
        )
        return PromptCall(self._ask(plan, candidate, terms), terms.trace, guard)

    async def _ask(
        self, plan: CallPlan, candidate: LoadedPrompt | None, terms: CallTerms
    ) -> AsyncGenerator[ChatChunk, None]:
        """Yield the answer, from the cache where it is kept there."""
        request = _render(candidate, plan.asked) if candidate else plan.rendered
        cache, key = plan.live.cache, ""
        if plan.keeps_answers:
            identity = candidate.identity if candidate else plan.identity
            key = f"{identity}:{request.digest}"
            if kept := cache.find(key, time.monotonic()):
                yield ChatChunk(kept.text, kept)
                return
        is_whole = not plan.asked.is_streamed
        async with aclosing(self._metered.stream(request, terms, is_whole=is_whole)) as chunks:
            async for chunk in chunks:
                if key and chunk.reply and not terms.trace.is_fallback:
                    cache.keep(key, chunk.reply, time.monotonic())
                yield chunk


async def _inspect(rules: GuardrailRules, asked: LanguageRequest) -> InspectedRequest:
    """Return a request as its model may get it; a detector looks at it in a thread."""
    if rules.is_slow:
        return await asyncio.to_thread(inspect_request, rules, asked)
    return inspect_request(rules, asked)


def _render(prompt: LoadedPrompt, asked: LanguageRequest) -> ChatRequest:
    """Return what a version asks its model.

    Raises:
        RequestInvalid: the variables are not the version's.
    """
    try:
        request = render_request(prompt.prompt, asked.variables, asked.context)
    except ValueError as error:
        raise RequestInvalid(f"variables: {error}") from error
    most = asked.most_tokens
    if most is not None and most < request.max_tokens:
        request = replace(request, max_tokens=most)
    return request


def _write_inputs(asked: LanguageRequest) -> bytes:
    """Return what was asked as it is logged."""
    values: dict[str, object] = {"variables": asked.variables}
    values |= {"context": asked.context} if asked.context else {}
    return msgspec.json.encode(values)


def find_fault(prompt: LoadedPrompt, models: LanguageModels) -> str:
    """Return why a version's model cannot be asked what the version asks; empty if it can."""
    names = prompt.prompt.placeholders
    try:
        request = render_request(prompt.prompt, dict.fromkeys(names, "text"))
        check_request(models.choose(request.model), request)
    except (SluiceError, ValueError) as error:
        return str(error)
    return ""
