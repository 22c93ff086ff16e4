"""A load generator that costs little: prepared bytes over open connections, minimal parsing.

`python -m benchmarks.harness.load PORT FILE --connections 32 [--rps 1000] [--ids FILE]`;
FILE has one request per line, as `write_requests` writes them. Without `--rps` the loop is closed:
each connection sends its next request as soon as it got an answer. With `--rps` the loop is open:
each request has a scheduled time, and its latency counts from it. The result is a line of JSON.
"""

import argparse
import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

ID_DIGITS = 12
MARK = "0" * ID_DIGITS
HEAD = (
    "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    "content-length: {length}\r\n\r\n"
)
TICK = 0.001
PATIENCE = 30.0
"""Longest wait for the last answers, in seconds."""
Request = tuple[bytes, bytes]
"""The bytes before and behind a request's id; all of them before where it has none."""


def write_requests(file: Path, path: str, bodies: Iterable[str]) -> None:
    """Write whole requests, one per line; a body may have MARK once, in the place of its id."""
    lines = [
        json.dumps((HEAD.format(path=path, length=len(body.encode())) + body).split(MARK))
        for body in bodies
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_requests(file: Path) -> list[Request]:
    parts = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [(part[0].encode(), part[1].encode() if part[1:] else b"") for part in parts]


class Connection(asyncio.Protocol):
    """One open connection with one request at a time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._transport: Any = None
        self._buffer = b""
        self.began, self.request_id = 0.0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a first request."""
        self._transport = transport
        self._load.offer(self)

    def send(self, request: Request, request_id: bytes, began: float) -> None:
        """Send a request that counts from `began`."""
        self.began, self.request_id = began, request_id
        before, behind = request
        if not self._transport.is_closing():  # `connection_lost` follows, which counts the request
            self._transport.write(before + request_id + behind if behind else before)

    def data_received(self, data: bytes) -> None:
        """Read until an answer is complete; only its status is parsed."""
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        place = head.find(b"content-length:")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) >= end + 4 + length:
            self._buffer = b""
            self._load.take(self, int(head[9:12]))
            self._load.offer(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report that the current request gets no answer."""
        self._load.lose(self)


class Load:
    """The requests of one run, and the end, latency, id and status of their answers."""

    def __init__(self, port: int, requests: list[Request], first_id: int) -> None:
        self._port, self._requests = port, requests
        self._loop = asyncio.get_running_loop()
        self._idle: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._count = self._first = first_id
        self._busy = 0
        self._sending, self._open = True, False
        self.ends: list[float] = []
        self.times: list[float] = []
        self.ids: list[bytes] = []
        self.statuses: Counter[str] = Counter()

    async def connect(self, connections: int) -> None:
        """Open so many connections."""
        for _ in range(connections):
            await self._connect()

    async def _connect(self) -> None:
        while True:
            try:
                await self._loop.create_connection(
                    lambda: Connection(self), "127.0.0.1", self._port
                )
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return

    def offer(self, connection: Connection) -> None:
        """Send a connection's next request, or keep the connection idle."""
        if not self._open and self._sending:
            self._send(connection, time.perf_counter())
        elif self._due:
            self._send(connection, self._due.popleft())
        else:
            self._idle.append(connection)

    def take(self, connection: Connection, status: int) -> None:
        """Count an answer."""
        now = time.perf_counter()
        self._busy -= 1
        self.statuses[str(status)] += 1
        if status == 200:
            self.ends.append(now)
            self.times.append(now - connection.began)
            self.ids.append(connection.request_id)

    def lose(self, connection: Connection) -> None:
        """Count a connection that broke, as after a kill, and connect again."""
        if connection in self._idle:
            self._idle.remove(connection)
        else:
            self._busy -= 1
            self.statuses["reset"] += 1
        if self._sending:
            self._loop.create_task(self._connect())

    def _send(self, connection: Connection, began: float) -> None:
        request_id = b"%012d" % self._count
        request = self._requests[self._count % len(self._requests)]
        self._count += 1
        self._busy += 1
        connection.send(request, request_id, began)

    async def run(self, connections: int, seconds: float, rps: float) -> float:
        """Send for so long, wait for the answers, and return the seconds until the last of them."""
        self._open = rps > 0
        start = time.perf_counter()
        await self.connect(connections)
        start = time.perf_counter() if self._open else start
        if self._open:
            await self._send_on_time(start, seconds, rps)
        else:
            await asyncio.sleep(seconds)
        self._sending = False
        while (self._busy or self._due) and time.perf_counter() < start + seconds + PATIENCE:
            await asyncio.sleep(0.005)
        return time.perf_counter() - start

    async def _send_on_time(self, start: float, seconds: float, rps: float) -> None:
        sent, total = 0, int(seconds * rps)
        while sent < total:
            now = time.perf_counter()
            while sent < total and start + sent / rps <= now:
                self._due.append(start + sent / rps)
                sent += 1
            while self._due and self._idle:
                self._send(self._idle.popleft(), self._due.popleft())
            await asyncio.sleep(TICK)

    def describe(self, seconds: float, rows: bool) -> dict[str, Any]:
        """Return the figures; with `rows` also one row per second."""
        times = np.array(self.times or [np.nan]) * 1000
        found = {
            "answered": len(self.times),
            "sent": self._count - self._first,
            "statuses": dict(self.statuses),
            "seconds": seconds,
            "rps": len(self.times) / seconds,
            **dict(zip(("p50", "p99", "p999"), np.percentile(times, (50, 99, 99.9)), strict=True)),
        }
        return {**found, "rows": self._list_seconds(times)} if rows else found

    def _list_seconds(self, times: Any) -> list[list[float]]:
        """Return second, answers, p50, p99 and p99.9 of each second."""
        ends = np.array(self.ends) - (min(self.ends) if self.ends else 0)
        found = []
        for second in range(int(ends.max()) if len(ends) else 0):
            chosen = times[(ends >= second) & (ends < second + 1)]
            if len(chosen):
                percentiles = np.percentile(chosen, (50, 99, 99.9)).tolist()
                found.append([second, len(chosen), *percentiles])
        return found


async def run_load(arguments: argparse.Namespace) -> dict[str, Any]:
    load = Load(arguments.port, read_requests(arguments.file), arguments.first_id)
    seconds = await load.run(arguments.connections, arguments.seconds, arguments.rps)
    if arguments.ids:
        Path(arguments.ids).write_bytes(b"\n".join(load.ids))
    return load.describe(seconds, arguments.rows)


def main() -> None:
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rps", type=float, default=0.0, help="open loop; 0: closed")
    parser.add_argument("--ids", default="", help="file for the ids of answered requests")
    parser.add_argument("--first-id", type=int, default=0)
    parser.add_argument("--rows", action="store_true", help="one row per second as well")
    print(json.dumps(uvloop.run(run_load(parser.parse_args()))))


if __name__ == "__main__":
    main()
