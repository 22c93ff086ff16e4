"""The gateway as an ASGI application, without a framework: one look at the path, one handler."""

import logging
import time
from collections.abc import Awaitable, Callable

from serving.http.answering import FULL_SECONDS, RequestHandler
from serving.http.feedback import FeedbackLog, decode_feedback
from serving.http.keys import Keyring, read_key
from serving.http.pages import StatusPages, smoke_candidate
from serving.http.replies import (
    CallFailed,
    Receive,
    Reply,
    Scope,
    Send,
    ask_again,
    explain,
    render_json,
    send_reply,
)
from serving.http.requests import CallerGone, read_body, refuse_duplicates
from serving.routing.model_table import ModelTable, ServiceEntry
from serving.routing.shadow import ShadowCalls, ShadowCopy
from sluice.config.serving import LimitsConfig
from sluice.errors import FeedbackInvalid, RequestInvalid, SpoolFull

PREFIX, SUFFIX, SMOKE = "/v1/models/", ":predict", ":smoke"
FEEDBACK = "/v1/feedback"
LOG = logging.getLogger("sluice.gateway")
Page = Callable[[], Awaitable[Reply]]


class Gateway:
    """One worker's application."""

    def __init__(
        self,
        answering: RequestHandler,
        shadowing: ShadowCalls,
        feedback: FeedbackLog,
        pages: StatusPages,
        read_lineup: Callable[[], ModelTable],
    ) -> None:
        self._answering, self._shadowing, self._feedback = answering, shadowing, feedback
        self._read_lineup = read_lineup
        self._limits: LimitsConfig = pages.config.limits
        self._keyring: Keyring = pages.keyring
        self._pages: dict[str, Page] = {
            "/healthz": pages.healthz,
            "/readyz": pages.readyz,
            "/metrics": pages.metrics,
            "/v1/counters": pages.counters,
            "/openapi.json": pages.openapi,
        }
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever happens, it gets a whole reply."""
        if scope["type"] != "http":
            return
        copy: ShadowCopy | None = None
        self._in_flight += 1
        try:
            reply, copy = await self._answer(scope, receive)
        except CallFailed as failure:
            reply = failure.reply
        except (RequestInvalid, FeedbackInvalid) as error:
            reply = explain(422, str(error))
        except CallerGone:
            return
        except Exception:  # a bug of ours: said as one, and found in the log
            LOG.exception("a request to %s failed", scope["path"][:200])
            reply = explain(500, "the gateway failed; its log says why")
        finally:
            self._in_flight -= 1
        await send_reply(send, reply)
        if copy is not None:
            self._shadowing.start(copy)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Reply, ShadowCopy | None]:
        path, method = scope["path"], scope["method"]
        if path.startswith(PREFIX) and path.endswith(SUFFIX):
            service = path[len(PREFIX) : -len(SUFFIX)]
            _require(method, "POST")
            self._admit(scope, service)
            seat = self._find_seat(service)
            body = await read_body(receive, scope["headers"], self._limits)
            return await self._answering.answer(seat, body)
        if path.startswith(PREFIX) and path.endswith(SMOKE):
            service = path[len(PREFIX) : -len(SMOKE)]
            _require(method, "GET")
            self._admit(scope, service)
            return await smoke_candidate(self._find_seat(service)), None
        if path == FEEDBACK:
            _require(method, "POST")
            self._admit(scope)
            body = await read_body(receive, scope["headers"], self._limits)
            return await self._take_feedback(body), None
        if page := self._pages.get(path):
            _require(method, "GET")
            return await page(), None
        found = path[:200]
        models = f"{PREFIX}SERVICE{SUFFIX}, {PREFIX}SERVICE{SMOKE}"
        allowed = f"{models}, {FEEDBACK}, {', '.join(self._pages)}"
        raise CallFailed(explain(404, f"path: found {found}; allowed: {allowed}"))

    def _admit(self, scope: Scope, service: str = "") -> None:
        """Let a caller in who may ask, while there is room."""
        if self._keyring and not self._keyring.admits(read_key(scope["headers"]), service):
            header = (b"www-authenticate", b"Bearer")
            raise CallFailed(explain(401, "an API key that opens this is needed", "", header))
        if self._in_flight > self._limits.in_flight:
            message = f"{self._limits.in_flight:,} requests are being answered already"
            raise CallFailed(ask_again(message))

    def _find_seat(self, service: str) -> ServiceEntry:
        lineup = self._read_lineup()
        seat = lineup.seats.get(service)
        if seat is not None:
            return seat
        if not lineup.has_looked:
            raise CallFailed(ask_again("no routes were read yet"))
        known = ", ".join(lineup.seats) or "none"
        message = f"service: found {service[:100]}; allowed: {known}"
        raise CallFailed(explain(404, message))

    async def _take_feedback(self, body: bytes) -> Reply:
        opinion = decode_feedback(body)
        refuse_duplicates(body, 0)
        try:
            await self._feedback.record(opinion, time.time(), self._find_cap)
        except SpoolFull:
            return ask_again("the log has no room", opinion.request_id, FULL_SECONDS)
        return render_json({"request_id": opinion.request_id, "taken": True}, 202)

    def _find_cap(self, service: str) -> float:
        """Give the most that a business value of a service counts, 0 where none does."""
        seat = self._read_lineup().seats.get(service)
        route = seat.belief.route if seat else None
        return route.value_cap if route else 0.0


def _require(method: str, allowed: str) -> None:
    if method != allowed:
        header = (b"allow", allowed.encode())
        message = f"method: found {method[:20]}; allowed: {allowed}"
        raise CallFailed(explain(405, message, "", header))
