"""The gateway as an ASGI application, without a framework."""

import logging
import time
from collections.abc import Awaitable, Callable

from serving.http.admission import CallerAdmission, InFlight, refuse_key, require_method
from serving.http.feedback import CallerServices, FeedbackLog, decode_feedback
from serving.http.handler import FULL_SECONDS, RequestHandler
from serving.http.hosts import AllowedHosts, list_hosts
from serving.http.keys import Keyring, read_key
from serving.http.language import DIALECTS, PROMPTS, LateEndpoints, is_language
from serving.http.pages import StatusPages
from serving.http.replies import (
    CallFailed,
    Receive,
    Reply,
    Scope,
    Send,
    SharedReply,
    ask_again,
    explain,
    render_json,
    send_reply,
)
from serving.http.requests import CallerGone, read_body
from serving.http.trace import read_trace, read_trace_id, trace_prediction
from serving.routing.model_table import AnyEntry, ModelEntry, ModelTable
from serving.routing.shadow import ShadowCalls, ShadowCopy
from sluice.adapters.telemetry.tracing import find_tracer
from sluice.config.serving import LimitsConfig
from sluice.errors import FeedbackInvalid, RequestInvalid, SpoolFull

PREFIX, PREDICT, SMOKE = "/v1/models/", ":predict", ":smoke"
FEEDBACK = "/v1/feedback"
LOG = logging.getLogger("sluice.gateway")
Page = Callable[[], Awaitable[Reply]]


class Gateway:
    """One worker's application."""

    def __init__(
        self,
        handler: RequestHandler,
        shadow_calls: ShadowCalls,
        feedback: FeedbackLog,
        pages: StatusPages,
        read_table: Callable[[], ModelTable],
        language: LateEndpoints,
    ) -> None:
        self._language = language
        self._handler, self._shadow_calls, self._feedback = handler, shadow_calls, feedback
        self._large_bodies = handler.large_bodies
        self._read_table = read_table
        self._limits: LimitsConfig = pages.config.limits
        self._keyring: Keyring = pages.keyring
        self._admission = CallerAdmission(AllowedHosts(list_hosts(pages.config)), pages.keyring)
        self._pages: dict[str, Page] = {
            "/healthz": pages.healthz,
            "/readyz": pages.readyz,
            "/metrics": SharedReply(pages.metrics).get,
            "/v1/counters": SharedReply(pages.counters).get,
            "/openapi.json": SharedReply(pages.openapi).get,
        }
        self._smoke = pages.smoke
        self._in_flight = InFlight(self._limits.in_flight)
        self._tracer = find_tracer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; it gets a whole reply, whatever happens."""
        if scope["type"] != "http":
            return
        copy: ShadowCopy | None = None
        try:
            path = scope["path"]
            if not path.startswith(PREFIX) and is_language(path):
                await self._language.answer(self._admission, scope, receive, send)
                return
            reply, copy = await self._answer(scope, receive)
        except CallFailed as failure:
            reply = failure.reply
        except (RequestInvalid, FeedbackInvalid) as error:
            reply = explain(422, str(error))
        except CallerGone:
            return
        except Exception:  # a bug of the gateway
            trace = {"trace_id": read_trace_id(scope["headers"])}
            LOG.exception("a request to %s failed", scope["path"][:200], extra=trace)
            reply = explain(500, "the gateway failed; its log has the reason")
        await send_reply(send, reply)
        if copy is not None:
            self._shadow_calls.start(copy)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Reply, ShadowCopy | None]:
        self._admission.check_host(scope)
        path, method = scope["path"], scope["method"]
        if path.startswith(PREFIX) and path.endswith(PREDICT):
            service = path[len(PREFIX) : -len(PREDICT)]
            require_method(method, "POST")
            self._admission.admit(scope, service)
            self._find_entry(service)
            body = await read_body(receive, scope["headers"], self._limits)
            with self._in_flight:  # the route may have changed while the body came
                trace = read_trace(scope["headers"])
                trace_id = trace.trace_id if trace else None
                answer = self._handler.answer(self._find_entry(service), body, trace_id)
                if self._tracer is None:
                    return await answer
                with trace_prediction(self._tracer, trace, service):
                    return await answer
        if path.startswith(PREFIX) and path.endswith(SMOKE):
            service = path[len(PREFIX) : -len(SMOKE)]
            require_method(method, "GET")
            self._admission.admit(scope, service)
            with self._in_flight:
                return await self._smoke(self._find_any(service)), None
        if path == FEEDBACK:
            require_method(method, "POST")
            self._admission.admit(scope)
            body = await read_body(receive, scope["headers"], self._limits)
            with self._in_flight:
                return await self._accept_feedback(body, read_key(scope["headers"])), None
        if page := self._pages.get(path):
            require_method(method, "GET")
            return await page(), None
        found = path[:200]
        models = f"{PREFIX}SERVICE{PREDICT}, {PREFIX}SERVICE{SMOKE}"
        prompts = ", ".join((f"{PROMPTS}PROMPT", *DIALECTS))
        allowed = f"{models}, {prompts}, {FEEDBACK}, {', '.join(self._pages)}"
        raise CallFailed(explain(404, f"path: found {found}; allowed: {allowed}"))

    def _find_entry(self, service: str) -> ModelEntry:
        table = self._read_table()
        entry = table.entries.get(service)
        if entry is not None:
            return entry
        if not table.has_routes:
            raise CallFailed(ask_again("no routes were read yet"))
        known = ", ".join(table.entries) or "none"
        message = f"service: found {service[:100]}; allowed: {known}"
        raise CallFailed(explain(404, message))

    def _find_any(self, service: str) -> AnyEntry:
        """Return a service, of a model or a prompt."""
        return self._read_table().prompts.get(service) or self._find_entry(service)

    async def _accept_feedback(self, body: bytes, key: bytes) -> Reply:
        feedback = await self._large_bodies.read(body, decode_feedback)
        opened = self._keyring.list_services(key)
        if feedback.service:
            if opened is not None and feedback.service not in opened:
                reason = self._keyring.explain_refusal(key, feedback.service)
                raise CallFailed(refuse_key(reason, feedback.request_id))
            self._find_any(feedback.service)
        table = self._read_table()
        names = {**table.entries, **table.prompts} if opened is None else opened
        services = CallerServices(sorted(names), opened is not None)
        try:
            await self._feedback.record(feedback, time.time(), services, self._find_cap)
        except SpoolFull:
            return ask_again("the log has no room", feedback.request_id, FULL_SECONDS)
        return render_json({"request_id": feedback.request_id, "accepted": True}, 202)

    def _find_cap(self, service: str) -> float:
        """Return the most that a business value of a service counts; 0 where none counts."""
        entry = self._read_table().find(service)
        route = entry.state.route if entry else None
        return route.value_cap if route else 0.0
