"""The status page as an ASGI application: pages and JSON by GET, commands by POST."""

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
from serving.page.reading import CachedValue, StoreCache, StoreReader, make_empty_view
from serving.page.status.facts import (
    BEING_READ,
    ServiceHistory,
    ServiceStanding,
    ServiceStatusPage,
    Standings,
    Surroundings,
    combine,
    make_card,
    make_empty_row,
)
from serving.page.status.files import FileReader
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
PageFacts = tuple[ServiceStanding | None, ServiceView | None, ServiceHistory]
"""A service's standing, its rollouts and its history; None where the store knows none."""
ALLOWED = (
    "/, /services/SERVICE, /services/SERVICE/NUMBER, /v1/services, /v1/services/SERVICE, "
    "/v1/rollouts, /v1/rollouts/SERVICE"
)
STANDINGS, FILES_KEY = "standings", "files"
"""Keys of what is cached for all pages."""
FILES_LONGER_SECONDS, FILES_FIRST_SECONDS, FILES_PATIENCE_SECONDS = 9.0, 5.0, 0.2
"""By how much later log and configuration are read again, how long the first read may take, and how
long a page that shows more than them waits for it."""
MAX_PATH = 200
LOG = logging.getLogger("sluice.page")


class StatusPage:
    """The application; only `POST /v1/rollouts/SERVICE/commands` changes anything."""

    def __init__(
        self,
        control: Control,
        keyring: Keyring,
        limits: LimitsConfig,
        hosts: AllowedHosts,
        files: FileReader | None = None,
    ) -> None:
        self._keyring, self._limits, self._hosts = keyring, limits, hosts
        self._files = files
        self._around = StoreCache(longer=FILES_LONGER_SECONDS)
        self._reader, self._cache = StoreReader(control), StoreCache()
        self._commands = CommandHandler(control.commands, self._cache)

    def preload(self) -> None:
        """Begin to read what the first visitor asks for: the first read loads libraries."""
        self._cache.preload(STANDINGS, self._reader.read_standings)
        if self._files is not None:
            self._around.preload(FILES_KEY, self._files.read)

    def close(self) -> None:
        """End the threads that read store and files."""
        self._cache.close()
        self._around.close()

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
            case ["services"]:
                standings = await self._read_standings()
                cards = combine(standings.value, await self._read_files(FILES_FIRST_SECONDS))
                value = {"services": cards}
                return _render_value(CachedValue(value, standings.age, standings.problem))
            case ["services", service]:
                page = await self._read_page(service, [])
                if page.value is not None:
                    return _render_value(page)
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
                    standings, around = await self._read_standings(), await self._read_files()
                    cards = combine(standings.value, around)
                    return _page(render_overview(standings, cards, around.addresses))
                case ["services", service, *rest] if _is_number(rest):
                    found = await self._read_page(service, rest)
                    if found.value is not None:
                        page = CachedValue(found.value, found.age, found.problem)
                        around, control = await self._read_files(), self._keyring.has_control
                        return _page(render_service(page, around, control))
        except ControlUnavailable as error:
            text = f"The control store cannot be read: {error}. Champions continue to serve."
            return _page(render_problem("Nothing to show yet", text), 503)
        text = f"Nothing is at {path[:MAX_PATH]}: no such service, or no such rollout of it."
        return _page(render_problem("Not found", text), 404)

    async def _read_standings(self) -> CachedValue[Standings]:
        return await self._cache.get(STANDINGS, self._reader.read_standings)

    async def _read_page(
        self, service: str, rest: list[str]
    ) -> CachedValue[ServiceStatusPage | None]:
        """Return a service's page; None where neither store nor configuration knows the service."""
        cached = await self._read_facts(service, rest)
        standing, view, history = cached.value
        is_known = standing is not None
        around = await self._read_files(*([] if is_known else [FILES_FIRST_SECONDS]))
        known = standing is not None or service in around.configurations
        if not known or (rest and view is None):
            return CachedValue(None, cached.age, cached.problem)
        card = make_card(standing or ServiceStanding(make_empty_row(service)), around)
        page = ServiceStatusPage(card, view or make_empty_view(service), history)
        return CachedValue(page, cached.age, cached.problem)

    async def _read_files(self, first: float = FILES_PATIENCE_SECONDS) -> Surroundings:
        """Return log, configuration and addresses; a page says so while they are first read."""
        if self._files is None:
            return Surroundings()
        try:
            return (await self._around.get(FILES_KEY, self._files.read, first)).value
        except ControlUnavailable:
            return BEING_READ

    async def _read_overview(self) -> CachedValue[Overview]:
        return await self._cache.get("", self._reader.read_overview)

    async def _read_service(self, service: str, rest: list[str]) -> CachedValue[ServiceView | None]:
        """Return a service's rollouts, of the read that its page shows, too."""
        cached = await self._read_facts(service, rest)
        return CachedValue(cached.value[1], cached.age, cached.problem)

    async def _read_facts(self, service: str, rest: list[str]) -> CachedValue[PageFacts]:
        number = int(rest[0]) if rest else 0
        key = service, number
        return await self._cache.get(key, lambda: self._reader.read_page(service, number))


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
