"""Replies to a caller: status, JSON or text, and how they are sent."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Scope = Mapping[str, Any]
JSON = b"application/json"
RETRY_SECONDS = 1
MAX_MESSAGE = 1000
"""Most characters of an error; what was found can be as long as a body."""
SHARED_SECONDS = 0.25
"""How long a shared reply is given to all who ask."""
Header = tuple[bytes, bytes]
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True)
class Reply:
    """One whole reply of the gateway."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = ()
    content_type: bytes = JSON


class CallFailed(Exception):  # noqa: N818
    """A request that gets no prediction; `reply` has the reason."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def explain(status: int, message: str, request_id: str = "", *headers: Header) -> Reply:
    """Return an error reply with a message, and with the request's id where it is known."""
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]}..."
    body = {"error": message, **({"request_id": request_id} if request_id else {})}
    return Reply(status, _ENCODER.encode(body), headers)


def ask_again(message: str, request_id: str = "", seconds: int = RETRY_SECONDS) -> Reply:
    """Return a 503 with the seconds after which the caller may try again."""
    return explain(503, message, request_id, (b"retry-after", b"%d" % seconds))


def render_json(value: Any, status: int = 200) -> Reply:
    """Return a value as a JSON reply."""
    return Reply(status, _ENCODER.encode(value))


async def send_reply(send: Send, reply: Reply) -> None:
    """Send a whole reply."""
    body = reply.body
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % len(body)),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class SharedReply:
    """A reply that is made once for all who ask for it at about the same time.

    A page that costs more than an answer would otherwise slow all callers down when it is asked
    for without pause.
    """

    def __init__(self, make: Callable[[], Awaitable[Reply]], seconds: float = SHARED_SECONDS):
        self._make, self._seconds = make, seconds
        self._reply: Reply | None = None
        self._until = 0.0
        self._making: asyncio.Task[Reply] | None = None

    async def get(self) -> Reply:
        """Return the reply: one that was made a moment ago, or else a new one."""
        loop = asyncio.get_running_loop()
        if self._reply is not None and loop.time() < self._until:
            return self._reply
        if self._making is None:
            self._making = loop.create_task(self._renew())
        return await asyncio.shield(self._making)

    async def _renew(self) -> Reply:
        try:
            self._reply = await self._make()
            self._until = asyncio.get_running_loop().time() + self._seconds
            return self._reply
        finally:
            self._making = None
