"""Callers that mean harm: each kind in a process of its own, limited in number, rate and time.

`python FILE KIND PORT SECONDS` prints a line of JSON: what the server did, and how often.
"""

import asyncio
import json
import os
import resource
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

NICE = 10
HANDLES = 12_000
KEY = "the callers' key"
MEGABYTE = 1 << 20
PREDICT = "/v1/models/towns:predict"
ROW = b'{"size": 1.5, "town": "ayr", "here": true}'
GET = b"GET %s HTTP/1.1\r\nhost: localhost\r\nx-api-key: " + KEY.encode() + b"\r\n\r\n"
Step = Callable[["Line"], Awaitable[None]]


def post(body: bytes, path: str = PREDICT, length: int = -1, **headers: str) -> bytes:
    """Return a request; `length` is what it says of its body, by default the truth."""
    known = {"host": "localhost", "content_type": "application/json", "x_api_key": KEY, **headers}
    known |= {} if "transfer_encoding" in headers else {"content_length": str(length)}
    if length < 0 and "content_length" in known:
        known["content_length"] = str(len(body))
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in known.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def fill(start: bytes, part: Callable[[int], bytes], end: bytes, size: int = MEGABYTE) -> bytes:
    """Return a body of nearly a size, with as many parts as fit."""
    parts, left, number = [start], size - len(start) - len(end) - 64, 0
    while left > 0:
        parts.append(part(number))
        left -= len(parts[-1])
        number += 1
    return b"".join((*parts, end))


class Line:
    """One connection of the attacker."""

    def __init__(self, attack: "Attack", source: str, buffer: int = 0) -> None:
        self.attack = attack
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.bind((source, 0))
        self.rest = b""

    async def connect(self) -> None:
        await asyncio.get_running_loop().sock_connect(self.socket, ("127.0.0.1", self.attack.port))

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def read(self) -> int:
        """Count the next whole reply, and return its status; 0 where the server closes."""
        while True:
            head, found, rest = self.rest.partition(b"\r\n\r\n")
            place = head.lower().find(b"content-length:")
            if found:
                length = int(head[place + 15 :].split(b"\r\n", 1)[0])
                if len(rest) >= length:
                    self.rest = rest[length:]
                    self.attack.seen[head[9:12].decode()] += 1
                    return int(head[9:12])
            data = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 17)
            if not data:
                self.attack.seen["closed"] += 1
                return 0
            self.rest += data

    def reset(self) -> None:
        """Close without a farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Attack:
    """What all connections of an attack share: the port, the end, the rate, what was seen."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port, self.end = port, time.monotonic() + seconds
        self.seen: Counter[str] = Counter()
        self._next = time.monotonic()

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    async def pace(self, rate: float) -> None:
        """Wait for this step's turn; all connections together have so many a second."""
        now = time.monotonic()
        self._next = max(self._next, now - 0.05) + 1 / rate
        if self._next > now:
            await asyncio.sleep(self._next - now)

    async def run(
        self, step: Step, lines: int, rate: float, addresses: int = 1, buffer: int = 0
    ) -> None:
        """Take steps on so many connections until the end; one that broke is opened again."""

        async def keep(place: int) -> None:
            while self.goes_on:
                await self.pace(rate)
                line = Line(self, f"127.0.0.{1 + place % addresses}", buffer)
                try:
                    await line.connect()
                    self.seen["opened"] += 1
                    while self.goes_on:
                        await step(line)
                except OSError:
                    self.seen["broken"] += 1
                finally:
                    line.socket.close()

        tasks = [asyncio.create_task(keep(place)) for place in range(lines)]
        await asyncio.wait(tasks, timeout=self.end - time.monotonic())
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def ask(request: bytes, rate: float) -> Step:
    """Send a request and read its reply, so many times a second."""

    async def step(line: Line) -> None:
        await line.attack.pace(rate)
        await line.send(request)
        if not await line.read():
            raise ConnectionResetError

    return step


def drip(start: bytes, drop: bytes, seconds: float) -> Step:
    """Begin a request, and send a little of it now and then until the server ends it."""

    async def step(line: Line) -> None:
        reading = asyncio.create_task(line.read())
        try:
            await line.send(start)
            while not reading.done():
                await asyncio.sleep(seconds)
                await line.send(drop)
            await line.read()
        finally:
            reading.cancel()
            with suppress(OSError, asyncio.CancelledError):
                await reading
        raise ConnectionResetError

    return step


def flood(start: bytes, more: bytes, rate: float = 400.0) -> Step:
    """Begin a request, and send on without end."""

    async def step(line: Line) -> None:
        await line.send(start)
        with suppress(OSError):
            while line.attack.goes_on:
                await line.attack.pace(rate)
                await line.send(more)
        await line.read()
        raise ConnectionResetError

    return step


async def idle(line: Line) -> None:
    if not await line.read():
        raise ConnectionResetError


async def reset(line: Line) -> None:
    await line.send(post(ROW)[: 40 + line.attack.seen["opened"] % 200])
    line.reset()
    raise ConnectionResetError


async def read_nothing(line: Line) -> None:
    """Ask for much, until the replies fill what lies between."""
    while line.attack.goes_on:
        await line.attack.pace(1500)
        await line.send(GET % b"/openapi.json")


HEAD = b"GET / HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = post(b"", transfer_encoding="chunked")
SMALL = b'{"inputs": ' + ROW + b"}"
NAMES = fill(b'{"inputs":{"x":{', lambda n: b'"%x":1,' % n, b'"y":1},' + ROW[1:] + b"}")
TWICE = NAMES[:-1] + b',"unit":"u"' * 2 + b"}"
DEEP = b'{"inputs":' + b"[" * 500_000 + b"]" * 500_000 + b"}"
OBJECTS = b'{"inputs":{"x":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"," + ROW[1:] + b"}"
NUMBER = b'{"inputs":{"size":' + b"7" * (MEGABYTE - 200) + b',"town":"ayr","here":true}}'
TEXT = b'{"inputs":{"size":1,"town":"' + b"a\\u00e9" * 149_000 + b'","here":true}}'
ROWS = fill(b'{"inputs":[' + ROW, lambda _: b"," + ROW, b"]}")
MOST_ROWS = b'{"inputs":[' + b",".join([ROW] * 1000) + b"]}"
UNKNOWN = b'{"request_id": "never-%d", "label": 1, "service": "towns"}'


async def tell(line: Line) -> None:
    """Send feedback about an answer that nobody gave."""
    await ask(post(UNKNOWN % line.attack.seen["202"], "/v1/feedback"), 1000)(line)


STORM = 1000.0
"""Small requests a second of one kind."""
COSTLY = 250.0
"""Those that cost a millisecond of processor each: more of them are load, not abuse."""
HEAVY = 40.0
"""Requests of a megabyte a second."""
KINDS: dict[str, Callable[[Attack], Awaitable[None]]] = {
    "endless headers": lambda a: a.run(flood(HEAD, b"x: yyyyyyyyyy\r\n" * 500), 20, 200),
    "one huge header": lambda a: a.run(flood(HEAD + b"x: " + b"y" * MEGABYTE, b"y"), 8, 100),
    "many small headers": lambda a: a.run(flood(HEAD + b"a:b\r\n" * 200_000, b"a:b\r\n"), 8, 100),
    "slow headers": lambda a: a.run(drip(HEAD, b"x: y\r\n", 0.3), 700, 700, addresses=2),
    "slow bodies": lambda a: a.run(drip(post(b"{", length=9999), b" ", 0.3), 700, 700, addresses=2),
    "many fields": lambda a: a.run(ask(post(NAMES), HEAVY), 4, 100),
    "a field twice at the end": lambda a: a.run(ask(post(TWICE), HEAVY), 4, 100),
    "deep lists": lambda a: a.run(ask(post(DEEP), HEAVY), 4, 100),
    "deep objects": lambda a: a.run(ask(post(OBJECTS), COSTLY), 4, 100),
    "a long number": lambda a: a.run(ask(post(NUMBER), HEAVY), 4, 100),
    "a huge text": lambda a: a.run(ask(post(TEXT), HEAVY), 4, 100),
    "too many rows": lambda a: a.run(ask(post(ROWS), HEAVY), 4, 100),
    "as many rows as allowed": lambda a: a.run(ask(post(MOST_ROWS), HEAVY), 4, 100),
    "declared too large": lambda a: a.run(flood(post(b"", length=1 << 30), b" " * 65536), 20, 200),
    "too large in chunks": lambda a: a.run(
        flood(CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"), 20, 200
    ),
    "tiny chunks": lambda a: a.run(flood(CHUNKED, b"1\r\n \r\n" * 40_000), 8, 100),
    "requests without end": lambda a: a.run(
        flood(GET % b"/healthz", GET % b"/healthz" * 500), 8, 100
    ),
    "not HTTP": lambda a: a.run(flood(b"\x16\x03\x01" + b"\0" * 500, b"\0"), 50, 500),
    "idle connections": lambda a: a.run(idle, 10_000, 4000, addresses=20),
    "connections that are reset": lambda a: a.run(reset, 100, 1500),
    "replies that nobody reads": lambda a: a.run(read_nothing, 4, 100, buffer=2048),
    "wrong hosts": lambda a: a.run(ask(post(SMALL, host="evil.example"), STORM), 8, 100),
    "wrong content types": lambda a: a.run(
        ask(post(SMALL, content_type="text/plain"), STORM), 8, 1000
    ),
    "wrong keys": lambda a: a.run(ask(post(SMALL, x_api_key="guess"), STORM), 8, 100),
    "metrics": lambda a: a.run(ask(GET % b"/metrics", STORM), 8, 100),
    "counters": lambda a: a.run(ask(GET % b"/v1/counters", STORM), 8, 100),
    "feedback about nothing": lambda a: a.run(tell, 8, 100),
}


def spin(seconds: float) -> None:
    """Take processor time, and do no harm: what an attack is compared with."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


async def attack(kind: str, port: int, seconds: float) -> Counter[str]:
    found = Attack(port, seconds)
    await KINDS[kind](found)
    return found.seen


def main() -> None:
    import uvloop

    kind, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    os.nice(NICE)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HANDLES if hard == resource.RLIM_INFINITY else min(HANDLES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    if kind == "nothing":
        spin(seconds)
        sys.stdout.write("{}")
    else:
        sys.stdout.write(json.dumps(uvloop.run(attack(kind, port, seconds))))


if __name__ == "__main__":
    main()
