"""The gateway as an ASGI application, without a framework."""

import logging
import time
from collections.abc import Awaitable, Callable

from serving.http.feedback import CallerServices, FeedbackLog, decode_feedback
from serving.http.handler import FULL_SECONDS, RequestHandler
from serving.http.hosts import AllowedHosts, list_hosts
from serving.http.keys import Keyring, read_key
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
from serving.routing.model_table import ModelTable, ServiceEntry
from serving.routing.shadow import ShadowCalls, ShadowCopy
from sluice.config.serving import LimitsConfig
from sluice.errors import FeedbackInvalid, RequestInvalid, SpoolFull

PREFIX, PREDICT, SMOKE = "/v1/models/", ":predict", ":smoke"
FEEDBACK = "/v1/feedback"
LOG = logging.getLogger("sluice.gateway")
Page = Callable[[], Awaitable[Reply]]


class InFlight:
    """The requests that have come as a whole and have no reply yet; a block counts as one."""

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0

    def __enter__(self) -> None:
        """Count one more.

        Raises:
            CallFailed: 503, there are too many already.
        """
        if self._count >= self._most:
            raise CallFailed(ask_again(f"{self._most:,} requests are being answered already"))
        self._count += 1

    def __exit__(self, *_: object) -> None:
        """Count one less."""
        self._count -= 1


class Gateway:
    """One worker's application."""

    def __init__(
        self,
        handler: RequestHandler,
        shadow_calls: ShadowCalls,
        feedback: FeedbackLog,
        pages: StatusPages,
        read_table: Callable[[], ModelTable],
    ) -> None:
        self._handler, self._shadow_calls, self._feedback = handler, shadow_calls, feedback
        self._large_bodies = handler.large_bodies
        self._read_table = read_table
        self._limits: LimitsConfig = pages.config.limits
        self._keyring: Keyring = pages.keyring
        self._hosts = AllowedHosts(list_hosts(pages.config))
        self._pages: dict[str, Page] = {
            "/healthz": pages.healthz,
            "/readyz": pages.readyz,
            "/metrics": SharedReply(pages.metrics).get,
            "/v1/counters": SharedReply(pages.counters).get,
            "/openapi.json": SharedReply(pages.openapi).get,
        }
        self._smoke = pages.smoke
        self._in_flight = InFlight(self._limits.in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; it gets a whole reply, whatever happens."""
        if scope["type"] != "http":
            return
        copy: ShadowCopy | None = None
        try:
            reply, copy = await self._answer(scope, receive)
        except CallFailed as failure:
            reply = failure.reply
        except (RequestInvalid, FeedbackInvalid) as error:
            reply = explain(422, str(error))
        except CallerGone:
            return
        except Exception:  # a bug of the gateway
            LOG.exception("a request to %s failed", scope["path"][:200])
            reply = explain(500, "the gateway failed; its log has the reason")
        await send_reply(send, reply)
        if copy is not None:
            self._shadow_calls.start(copy)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Reply, ShadowCopy | None]:
        self._hosts.check(scope)
        path, method = scope["path"], scope["method"]
        if path.startswith(PREFIX) and path.endswith(PREDICT):
            service = path[len(PREFIX) : -len(PREDICT)]
            _require(method, "POST")
            self._admit(scope, service)
            self._find_entry(service)
            body = await read_body(receive, scope["headers"], self._limits)
            with self._in_flight:  # the route may have changed while the body came
                return await self._handler.answer(self._find_entry(service), body)
        if path.startswith(PREFIX) and path.endswith(SMOKE):
            service = path[len(PREFIX) : -len(SMOKE)]
            _require(method, "GET")
            self._admit(scope, service)
            with self._in_flight:
                return await self._smoke(self._find_entry(service)), None
        if path == FEEDBACK:
            _require(method, "POST")
            self._admit(scope)
            body = await read_body(receive, scope["headers"], self._limits)
            with self._in_flight:
                return await self._accept_feedback(body, read_key(scope["headers"])), None
        if page := self._pages.get(path):
            _require(method, "GET")
            return await page(), None
        found = path[:200]
        models = f"{PREFIX}SERVICE{PREDICT}, {PREFIX}SERVICE{SMOKE}"
        allowed = f"{models}, {FEEDBACK}, {', '.join(self._pages)}"
        raise CallFailed(explain(404, f"path: found {found}; allowed: {allowed}"))

    def _admit(self, scope: Scope, service: str = "") -> None:
        """Refuse a caller whose key does not open this."""
        if self._keyring and not self._keyring.admits(read_key(scope["headers"]), service):
            raise CallFailed(_refuse_key())

    def _find_entry(self, service: str) -> ServiceEntry:
        table = self._read_table()
        entry = table.entries.get(service)
        if entry is not None:
            return entry
        if not table.has_routes:
            raise CallFailed(ask_again("no routes were read yet"))
        known = ", ".join(table.entries) or "none"
        message = f"service: found {service[:100]}; allowed: {known}"
        raise CallFailed(explain(404, message))

    async def _accept_feedback(self, body: bytes, key: bytes) -> Reply:
        feedback = await self._large_bodies.read(body, decode_feedback)
        opened = self._keyring.list_services(key)
        if feedback.service:
            if opened is not None and feedback.service not in opened:
                raise CallFailed(_refuse_key(feedback.request_id))
            self._find_entry(feedback.service)
        names = self._read_table().entries if opened is None else opened
        services = CallerServices(sorted(names), opened is not None)
        try:
            await self._feedback.record(feedback, time.time(), services, self._find_cap)
        except SpoolFull:
            return ask_again("the log has no room", feedback.request_id, FULL_SECONDS)
        return render_json({"request_id": feedback.request_id, "accepted": True}, 202)

    def _find_cap(self, service: str) -> float:
        """Return the most that a business value of a service counts; 0 where none counts."""
        entry = self._read_table().entries.get(service)
        route = entry.state.route if entry else None
        return route.value_cap if route else 0.0


def _refuse_key(request_id: str = "") -> Reply:
    header = (b"www-authenticate", b"Bearer")
    return explain(401, "an API key that opens this is needed", request_id, header)


def _require(method: str, allowed: str) -> None:
    if method != allowed:
        header = (b"allow", allowed.encode())
        message = f"method: found {method[:20]}; allowed: {allowed}"
        raise CallFailed(explain(405, message, "", header))
