"""HTTP/1.1 with limits: uvicorn's protocol on httptools, which by itself has nearly none.

| what is limited | what happens beyond it |
|---|---|
| bytes of the request line and headers | 431 |
| time to the end of the headers | 408; a silent connection is closed |
| time of a body, and the pause between its bytes | 408 |
| chunks of a body, where they are tiny | 413 |
| bytes of requests that are not whole, in all | 503 for the oldest of them |
| time in which a caller takes no byte of its replies | the connection is closed |
| time without a request | the connection is closed |
| requests that wait behind one that is answered | the connection is closed |
| connections of one address, and in all | the one that waited longest is closed |

One timer of the process looks at the time limits of all connections, so that a request costs no
timer of its own.
"""

import asyncio
from typing import Any

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from serving.http.transport.connections import Connections, name_address

AWAITED, HEAD, BODY = 0, 1, 2
"""Parts of a request: none of it has come, its head is coming, its body is coming."""
BUSY = 503
PIPELINED = 16
"""Requests of a connection that may wait for the one before."""
FRAMING = 8
"""Most bytes on the wire for a byte of a chunked body; the smallest chunks need six."""
CHUNKS, CHUNK_BYTES = 1024, 16
"""Chunks of a body, of any size; further ones have so many bytes on the wire on average."""
PIECE = 16 * 1024
"""Bytes that the parser gets at once; the limits are looked at in between."""
TINY = f"the body comes in tiny chunks; allowed: {CHUNKS:,}, further ones of {CHUNK_BYTES} bytes"
TOO_SLOW = "the request did not come in time; allowed: {:g} s for its {}"


class HeadTooLarge(Exception):  # noqa: N818
    """The headers of a request are larger than the limit."""


class TooManyWaiting(Exception):  # noqa: N818
    """A connection sends many requests without waiting for replies."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        places: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._places, self._limits = places, places.limits
        self._address = ""
        self._stage = AWAITED
        self._chunk = self._chunks = self.received = 0
        self._parts: list[bytes] = []
        self.began = self._heard = self.loop.time()
        self._blocked_at = self._closing_at = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a whole request waits for its reply."""
        cycle = self.cycle
        if self.pipeline:
            return True
        return cycle is not None and not cycle.response_complete and not cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place among the connections."""
        super().connection_made(transport)
        self._address = name_address(self.client[0]) if self.client else ""
        self._places.add(self, self._address, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._places.remove(self, self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has come, and count it while a request is not whole."""
        self._heard = self.loop.time()
        if len(data) <= PIECE:
            self._read(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), PIECE):
            if not self._read(view[start : start + PIECE]):
                return

    def _read(self, data: bytes | memoryview) -> bool:
        """Parse some bytes; return whether the limits allow more of them."""
        self._chunk = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return False  # no other protocol is spoken here: the request gets its reply
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, HeadTooLarge):
                self._refuse_head()
            elif isinstance(error.__context__, TooManyWaiting):
                self.transport.abort()
            else:
                self.refuse(400, "the request is not HTTP/1.1")
            return False
        if self._parts:
            self._pass_body()
        if self._stage == AWAITED:
            return True
        self._places.hold(self, self._chunk)
        return not self._is_too_large() and not self.transport.is_closing()

    def _is_too_large(self) -> bool:
        """Whether a request that is not whole is beyond a limit of size; then it is refused."""
        limits = self._limits
        if self._stage == HEAD and self.received > limits.header_bytes:
            self._refuse_head()
        elif self.received > limits.header_bytes + FRAMING * limits.body_bytes:
            self.refuse(413, f"the body is too large; allowed: {limits.body_bytes:,} bytes")
        elif self._chunks > CHUNKS + self.received // CHUNK_BYTES:
            self.refuse(413, TINY)
        else:
            return False
        return True

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._stage, self.began = HEAD, self._heard
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin the request's body.

        Raises:
            HeadTooLarge: the headers are larger than the limit.
            TooManyWaiting: too many requests wait for the one before.
        """
        if len(self.pipeline) >= PIPELINED:
            raise TooManyWaiting
        most = self._limits.header_bytes
        if self.received + self._chunk > most and self._count_head() > most:
            raise HeadTooLarge
        super().on_headers_complete()
        self._stage, self.began, self._chunks = BODY, self._heard, 0

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body; all parts of one read are joined once."""
        self._parts.append(body)

    def _pass_body(self) -> None:
        parts, self._parts = self._parts, []
        self._chunks += len(parts)
        super().on_body(parts[0] if len(parts) == 1 else b"".join(parts))

    def on_message_complete(self) -> None:
        """Hand a whole request over; what follows in the same bytes belongs to the next one."""
        if self._parts:
            self._pass_body()
        self._stage, self._chunk = AWAITED, 0
        if self.received:
            self._places.release(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request; the process's timer closes the connection, not its own."""
        self.server_state.total_requests += 1
        if self._stage == AWAITED:
            self.began = self.loop.time()
        if self.transport.is_closing():
            return
        self._places.renew(self, self._address)
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        """Note since when the caller takes nothing."""
        self._blocked_at = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the caller takes its replies again."""
        self._blocked_at = 0.0
        super().resume_writing()

    def check_time(self, now: float) -> None:
        """Close the connection if one of its time limits is over."""
        limits = self._limits
        if self.transport.is_closing():
            self._closing_at = self._closing_at or now
            if now - self._closing_at > limits.stall_seconds:
                self.transport.abort()
        elif self._blocked_at and now - self._blocked_at > limits.stall_seconds:
            self.transport.abort()
        elif not self.is_busy:
            waited = now - self.began
            if self._stage == HEAD and waited > limits.header_seconds:
                self.refuse(408, TOO_SLOW.format(limits.header_seconds, "headers"))
            elif self._stage == BODY and waited > limits.body_seconds:
                self.refuse(408, TOO_SLOW.format(limits.body_seconds, "body"))
            elif self._stage == BODY and now - self._heard > limits.stall_seconds:
                self.refuse(408, TOO_SLOW.format(limits.stall_seconds, "next byte"))
            elif self._stage == AWAITED and waited > self._patience:
                self.transport.close()

    @property
    def _patience(self) -> float:
        """How long the connection may wait for a request: the first one has to come soon."""
        limits = self._limits
        return limits.header_seconds if self.cycle is None else limits.idle_seconds

    def refuse(self, status: int, message: str) -> None:
        """Close the connection; a caller whose request has begun gets a reply first."""
        cycle, transport = self.cycle, self.transport
        if self.is_busy and not self.pipeline:  # its reply goes first, and is the last one
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        is_answered = self._stage == BODY and cycle.response_started
        if self.pipeline or is_answered or transport.get_write_buffer_size():
            transport.abort()
        elif self._stage == AWAITED and status == BUSY:
            transport.close()
        elif not transport.is_closing():
            transport.write(_build_reply(status, message))
            transport.close()
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self.refuse(400, msg)

    def _refuse_head(self) -> None:
        most = self._limits.header_bytes
        self.refuse(431, f"the request line and headers are too large; allowed: {most:,} bytes")

    def _count_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)


def _build_reply(status: int, message: str) -> bytes:
    body = msgspec.json.encode({"error": message})
    again = b"retry-after: 1\r\n" if status == BUSY else b""
    head = b"content-type: application/json\r\ncontent-length: %d\r\n%sconnection: close\r\n\r\n"
    return STATUS_LINE[status] + head % (len(body), again) + body
