"""The rollout page as an ASGI application: pages and JSON by GET, commands by POST."""

import logging
from pathlib import Path
from typing import Any

from serving.http.hosts import AllowedHosts
from serving.http.keys import Keyring, read_key
from serving.http.replies import (
    CallFailed,
    Receive,
    Reply,
    Scope,
    Send,
    explain,
    render_json,
    send_reply,
)
from serving.http.requests import CallerGone, read_body
from serving.page.commands import CommandHandler, confirm_control, decode_command
from serving.page.document import render_overview, render_problem, render_service
from serving.page.markup import Html
from serving.page.reading import CachedValue, StoreCache, StoreReader
from serving.page.view import Overview, ServiceView
from sluice.adapters.control.store import Control
from sluice.config.serving import LimitsConfig
from sluice.errors import ControlUnavailable, Fault

HTML = b"text/html; charset=utf-8"
SECURITY = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
FILES = {
    "/page.css": (b"text/css; charset=utf-8", Path(__file__).with_name("page.css").read_bytes()),
    "/page.js": (
        b"text/javascript; charset=utf-8",
        Path(__file__).with_name("page.js").read_bytes(),
    ),
}
ALLOWED = "/, /services/SERVICE, /services/SERVICE/NUMBER, /v1/rollouts, /v1/rollouts/SERVICE"
MAX_PATH = 200
LOG = logging.getLogger("sluice.page")


class RolloutPage:
    """The application; only `POST /v1/rollouts/SERVICE/commands` changes anything."""

    def __init__(
        self, control: Control, keyring: Keyring, limits: LimitsConfig, hosts: AllowedHosts
    ) -> None:
        self._keyring, self._limits, self._hosts = keyring, limits, hosts
        self._reader, self._cache = StoreReader(control), StoreCache()
        self._commands = CommandHandler(control.commands, self._cache)

    def close(self) -> None:
        """End the thread that reads the store."""
        self._cache.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; it gets a complete reply whatever fails."""
        if scope["type"] != "http":
            return
        try:
            reply = await self._answer(scope, receive)
        except CallFailed as failure:
            reply = failure.reply
        except CallerGone:
            return
        except Fault as error:
            reply = explain(503, str(error))
        except Exception:  # a bug: the caller gets a 500, the log the traceback
            LOG.exception("a request to %s failed", scope["path"][:MAX_PATH])
            reply = explain(500, "the page failed; its log says why")
        headers = (*SECURITY, *reply.headers)
        await send_reply(send, Reply(reply.status, reply.body, headers, reply.content_type))

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        self._hosts.check(scope)
        path, method = scope["path"], scope["method"]
        match [part for part in path.split("/") if part]:
            case ["v1", "rollouts", service, "commands"]:
                _require(method, "POST")
                confirm_control(self._keyring, read_key(scope["headers"]), service)
                body = await read_body(receive, scope["headers"], self._limits)
                return await self._commands.handle(service, decode_command(body))
            case ["v1", "rollouts", service, "rights"]:
                _require(method, "GET", "HEAD")
                confirm_control(self._keyring, read_key(scope["headers"]), service)
                return render_json({"message": f"this key may control {service}"})
            case ["v1", *rest]:
                _require(method, "GET", "HEAD")
                return await self._answer_json(rest, path)
            case ["healthz"]:
                _require(method, "GET", "HEAD")
                return render_json({"healthy": True})
        _require(method, "GET", "HEAD")
        if path in FILES:
            content_type, body = FILES[path]
            return Reply(200, body, content_type=content_type)
        return await self._answer_page(path)

    async def _answer_json(self, parts: list[str], path: str) -> Reply:
        """Answer a program: the same facts as the pages, as JSON."""
        match parts:
            case ["rollouts"]:
                return _render_value(await self._read_overview())
            case ["rollouts", service, *rest] if _is_number(rest):
                found = await self._read_service(service, rest)
                if found.value is not None:
                    return _render_value(found)
        raise CallFailed(explain(404, f"path: found {path[:MAX_PATH]}; allowed: {ALLOWED}"))

    async def _answer_page(self, path: str) -> Reply:
        """Answer a browser; where the store is away, the page says so."""
        try:
            match [part for part in path.split("/") if part]:
                case []:
                    return _page(render_overview(await self._read_overview()))
                case ["services", service, *rest] if _is_number(rest):
                    found = await self._read_service(service, rest)
                    if found.value is not None:
                        view = CachedValue(found.value, found.age, found.problem)
                        return _page(render_service(view, self._keyring.has_control))
        except ControlUnavailable as error:
            text = f"The control store cannot be read: {error}. Champions continue to serve."
            return _page(render_problem("Nothing to show yet", text), 503)
        text = f"Nothing is at {path[:MAX_PATH]}: no such service, or no such rollout of it."
        return _page(render_problem("Not found", text), 404)

    async def _read_overview(self) -> CachedValue[Overview]:
        return await self._cache.get("", self._reader.read_overview)

    async def _read_service(self, service: str, rest: list[str]) -> CachedValue[ServiceView | None]:
        number = int(rest[0]) if rest else 0
        key = service, number
        return await self._cache.get(key, lambda: self._reader.read_service(service, number))


def _render_value(cached: CachedValue[Any]) -> Reply:
    age = round(cached.age, 3)
    return render_json({"age_seconds": age, "problem": cached.problem, "data": cached.value})


def _page(html: Html, status: int = 200) -> Reply:
    return Reply(status, html.encode(), content_type=HTML)


def _is_number(rest: list[str]) -> bool:
    """Whether the rest of a path is empty, or the number of a rollout."""
    return not rest or (
        len(rest) == 1 and rest[0].isascii() and rest[0].isdigit() and len(rest[0]) < 8
    )


def _require(method: str, *allowed: str) -> None:
    if method not in allowed:
        methods = ", ".join(allowed)
        message = f"method: found {method[:20]}; allowed: {methods}"
        raise CallFailed(explain(405, message, "", (b"allow", methods.encode())))
