"""Good callers at a steady rate, whose waits count from when each request was due."""

import asyncio
import contextlib
import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.gateway.callers import RECORD

RATE, CALLERS = 100.0, 10
FRESH = 10
"""Every so many requests of a caller come over a new connection."""
PATIENCE = 20.0


@dataclass(frozen=True)
class SteadyReply:
    """One request: when it was due, how long its caller waited from then on, and the result."""

    due: float
    seconds: float
    fault: str = ""
    """Why it is no good answer; empty where it is one."""
    request_id: str = ""


@dataclass
class SteadyCallers:
    """What good callers got."""

    replies: list[SteadyReply] = field(default_factory=list)

    def between(self, start: float, end: float) -> list[SteadyReply]:
        """Return the requests that were due in a time; all of them must have ended."""
        return [item for item in self.replies if start <= item.due < end]

    @property
    def ids(self) -> list[str]:
        return [item.request_id for item in self.replies if item.request_id]


def find_p99(replies: list[SteadyReply]) -> float:
    """Return the wait that 99 of 100 requests stay below, in seconds."""
    ordered = sorted(item.seconds for item in replies)
    return ordered[math.ceil(0.99 * len(ordered)) - 1]


@contextmanager
def call_steadily(port: int, service: str, key: str) -> Iterator[SteadyCallers]:
    """Let the good callers ask, 100 times a second in all, until the block ends."""
    found, ended = SteadyCallers(), threading.Event()

    async def call_all() -> None:
        start = time.monotonic()
        await asyncio.gather(
            *(
                _Caller(found, port, service, key, place).run(start, ended)
                for place in range(CALLERS)
            )
        )

    thread = threading.Thread(target=lambda: asyncio.run(call_all()))
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join(60)
        assert not thread.is_alive()


class _Caller:
    def __init__(self, found: SteadyCallers, port: int, service: str, key: str, place: int) -> None:
        self._found, self._port, self._place = found, port, place
        self._head = (
            f"POST /v1/models/{service}:predict HTTP/1.1\r\nhost: localhost\r\n"
            f"content-type: application/json\r\nx-api-key: {key}\r\n"
        )
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, start: float, ended: threading.Event) -> None:
        number = 0
        while not ended.is_set():
            due = start + (number * CALLERS + self._place) / RATE
            number += 1
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if number % FRESH == 0:
                self._hang_up()
            fault, name = "", f"good-{self._place}-{number}"
            try:
                async with asyncio.timeout(PATIENCE):
                    status = await self._ask(name)
                fault = "" if status == 200 else f"status {status}"
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                fault = type(error).__name__
                self._hang_up()
            waited = time.monotonic() - due
            self._found.replies.append(SteadyReply(due, waited, fault, "" if fault else name))
        self._hang_up()

    async def _ask(self, name: str) -> int:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        unit = f"u{self._place}-{name}"
        body = json.dumps({"inputs": RECORD, "request_id": name, "unit": unit}).encode()
        head = f"{self._head}content-length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next(line for line in lines if line.startswith("content-length: "))
        await self._reader.readexactly(int(length[16:]))
        if "connection: close" in lines:
            self._hang_up()
        return int(lines[0].split()[1])

    def _hang_up(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        self._reader = self._writer = None
