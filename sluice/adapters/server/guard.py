"""A web application that answers only at its own address, and only to its own pages.

A page of another site can send requests to a port of this machine, and a name of its own can lead
there. Both reach the application only if it takes every `Host` and every `Origin`.

`python -m sluice.adapters.server.guard APPLICATION --port N` serves an ASGI application so.
"""

import argparse
import os
import socket
import sys
import zoneinfo
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sluice.adapters.server.unused import watch_users
from sluice.garbage import collect_rarely, import_at_once
from sluice.home import Home

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
MORE_HOSTS = "SLUICE_STACK_HOSTS"
"""Variable with further hosts, such as `localhost:9000` where a tunnel ends, by commas."""
SHOWN = 100
"""Characters of a refused header that the refusal repeats."""
WEB_SOCKETS = ("ws", "wss")
OWN_SITES = (b"", b"same-origin", b"none")
FRAMES = (b"x-frame-options", b"SAMEORIGIN")
KEEP_ALIVE_SECONDS, BACKLOG, FAILED = 5, 2048, 3

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def list_hosts(port: int) -> list[str]:
    """Return the hosts at which a part on the port may be asked for."""
    more = [item.strip().lower() for item in os.environ.get(MORE_HOSTS, "").split(",")]
    return [*(f"{name}:{port}" for name in NAMES), *filter(None, more)]


def list_origins(hosts: Sequence[str]) -> list[str]:
    """Return the origins of pages at the hosts; a tunnel may add the encryption."""
    return [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts]


def write_content_policy(hosts: Sequence[str]) -> tuple[bytes, bytes]:
    """Return the header with which a page may ask the hosts only.

    The pages of the parts would ask an analytics service of their makers for settings.
    """
    origins = list_origins(hosts)
    origins += [f"{scheme}://{host}" for scheme in WEB_SOCKETS for host in hosts]
    return b"content-security-policy", f"connect-src 'self' {' '.join(origins)}".encode("latin-1")


def find_refusal(
    method: str, headers: Iterable[tuple[bytes, bytes]], allowed: Sequence[str]
) -> tuple[int, str] | None:
    """Return status and words for a request that may not pass; None for one that may.

    `allowed` are the hosts. A request without `Origin` is a program's, or a browser's that says
    by `Sec-Fetch-Site` from where it comes; a link that a person follows may open a page.
    """
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    hosts = found.get(b"host", [])
    if len(hosts) != 1 or hosts[0].decode("latin-1").lower() not in allowed:
        return 421, _describe("Host", hosts, allowed)
    origins = found.get(b"origin", [])
    if origins:
        own = list_origins(allowed)
        passes = len(origins) == 1 and origins[0].decode("latin-1").lower() in own
        return None if passes else (403, _describe("Origin", origins, own))
    sites = found.get(b"sec-fetch-site", [b""])
    is_link = (
        method in ("GET", "HEAD")
        and found.get(b"sec-fetch-mode") == [b"navigate"]
        and found.get(b"sec-fetch-dest") == [b"document"]
    )
    if all(site in OWN_SITES for site in sites) or is_link:
        return None
    return 403, _describe("Sec-Fetch-Site", sites, ["same-origin"])


def _describe(header: str, found: Sequence[bytes], allowed: Sequence[str]) -> str:
    text = ", ".join(item.decode("latin-1") for item in found)[:SHOWN] or "none"
    return (
        f"{header}: found {text}; allowed: {', '.join(allowed)}; next: open the page at one of"
        f" its own addresses, or name another host in {MORE_HOSTS} where the server is started\n"
    )


class Guard:
    """An ASGI application that passes on what may pass, and refuses the rest."""

    def __init__(self, application: Application, hosts: Sequence[str]) -> None:
        self._application, self._hosts = application, hosts
        self._content_policy = write_content_policy(hosts)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection of the server."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        refusal = find_refusal(scope.get("method", "GET"), scope["headers"], self._hosts)
        if refusal is None:
            await self._application(scope, receive, _add_headers(send, self._content_policy))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(*refusal, send)


def _add_headers(send: Send, content_policy: tuple[bytes, bytes]) -> Send:
    """Return a sender that keeps an answer out of pages of other sites, and a page among its own.

    A content policy that the application sends holds beside ours.
    """

    async def send_closed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", []), content_policy]
            if FRAMES[0] not in {name.lower() for name, _ in headers}:
                headers.append(FRAMES)
            message = {**message, "headers": headers}
        await send(message)

    return send_closed


async def _refuse(status: int, words: str, send: Send) -> None:
    body = words.encode("latin-1", "replace")
    headers = [
        (b"content-type", b"text/plain; charset=latin-1"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve_guarded(name: str, listener: socket.socket, *, is_factory: bool) -> bool:
    """Serve an application, `module:attribute`, until a signal ends it; return whether it began."""
    import uvicorn
    from uvicorn.importer import import_from_string

    # Prefect lists the time zones of the machine for each schedule that it reads: 6 ms of files.
    zoneinfo.available_timezones = cache(zoneinfo.available_timezones)
    with import_at_once():
        found = import_from_string(name)
        application: Application = found() if is_factory else found
    config = uvicorn.Config(
        Guard(application, list_hosts(listener.getsockname()[1])),
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        proxy_headers=False,  # a caller could name another client address
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    return server.started


def main() -> int:
    """Serve the application that the command line names; exit code 3: it did not begin.

    The port is taken before the application is imported, which takes seconds: of two that start
    at once, the later one knows at once.
    """
    parser = argparse.ArgumentParser(description="Serve an ASGI application to its own pages only.")
    parser.add_argument("application", help="module:attribute")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--factory", action="store_true", help="the attribute makes it")
    parser.add_argument("--users-of", help="state folder without whose users it ends")
    given = parser.parse_args()
    collect_rarely()
    try:
        listener = socket.create_server((HOST, given.port), backlog=BACKLOG)
    except OSError as error:
        print(f"port {given.port}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return FAILED
    if given.users_of:
        watch_users(Home(Path(given.users_of)))
    with listener:
        began = serve_guarded(given.application, listener, is_factory=given.factory)
    return 0 if began else FAILED


if __name__ == "__main__":
    sys.exit(main())
