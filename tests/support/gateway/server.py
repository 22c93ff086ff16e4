"""The HTTP server of gateway and page in the test's own event loop, with limits of the test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
import uvloop

from serving.http.replies import Receive, Scope, Send, render_json, send_reply
from serving.http.requests import CallerGone, read_body
from serving.http.transport.connections import Connections
from serving.http.transport.server import configure_server
from sluice.config.serving import LimitsConfig

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
SECONDS = 20.0


class QuietServer(uvicorn.Server):
    """A server that leaves the signals to the test."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class LocalServer:
    """A server that answers each request with the length of its body."""

    port: int
    places: Connections
    answered: int = 0
    waiting: int = 0
    """Requests that the application has begun and not answered."""
    callers: list["Caller"] = field(default_factory=list)

    async def connect(self, source: str = "127.0.0.1") -> "Caller":
        """Open a connection from an address of loopback."""
        found = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))
        self.callers.append(Caller(*found))
        return self.callers[-1]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                await asyncio.sleep(0.01)


class Caller:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send bytes; a connection that the server closed is no error here."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def status(self) -> int:
        """Return the status of the next reply; 0 where the server closed without one."""
        try:
            async with asyncio.timeout(SECONDS):
                head = await self.reader.readuntil(b"\r\n\r\n")
                lines = head.decode().lower().split("\r\n")
                length = next(line for line in lines if line.startswith("content-length: "))
                await self.reader.readexactly(int(length[16:]))
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        return int(head[9:12])

    async def is_closed(self) -> bool:
        """Whether the server has closed the connection, or does within the time."""
        try:
            async with asyncio.timeout(SECONDS):
                return not await self.reader.read(1)
        except ConnectionError:
            return True

    async def close(self) -> None:
        """Close the connection, if the server has not."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def serve(limits: LimitsConfig, delay: float = 0.0) -> AsyncIterator[LocalServer]:
    """Serve at a free port; each answer takes `delay` seconds."""
    found = LocalServer(0, Connections(limits))

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        found.waiting += 1
        try:
            headers = [*scope["headers"], (b"content-type", b"application/json")]
            body = await read_body(receive, headers, limits)
            await asyncio.sleep(delay)
            reply = {"bytes": len(body), "rest": "x" * (scope["path"] == "/large") * (1 << 20)}
            await send_reply(send, render_json(reply))
            found.answered += 1
        except CallerGone:
            pass
        finally:
            found.waiting -= 1

    server = QuietServer(configure_server(answer, limits, 1, port=0, places=found.places))
    task = asyncio.create_task(server.serve())
    await found.until(lambda: server.started)
    found.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        for caller in found.callers:
            await caller.close()
        server.should_exit = True
        await task


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test on the event loop that the gateway runs on."""
    uvloop.run(test)
