"""Callers that ask without pause, keep their replies, and reconnect after a broken connection."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

RECORD = {"size": 1.0, "town": "ayr", "here": True}
PAUSE = 0.02


@dataclass
class TimedReply:
    """One whole reply."""

    status: int
    body: dict[str, Any]
    seconds: float


@dataclass
class Load:
    """The replies of all callers; `broken` counts connections that broke during a request."""

    replies: list[TimedReply] = field(default_factory=list)
    broken: int = 0
    refused: int = 0

    @property
    def statuses(self) -> set[int]:
        return {item.status for item in self.replies}

    @property
    def ids(self) -> set[str]:
        return {item.body["request_id"] for item in self.replies if item.status == 200}


@contextmanager
def run_load(
    ports: list[int], service: str, callers: int = 4, pause: float = 0.002
) -> Iterator[Load]:
    """Ask from so many connections until the block ends, spread over the ports."""
    load, ended = Load(), threading.Event()

    async def call_all() -> None:
        tasks = [
            _call(load, ports[place % len(ports)], service, place, pause, ended)
            for place in range(callers)
        ]
        await asyncio.gather(*tasks)

    thread = threading.Thread(target=lambda: asyncio.run(call_all()))
    thread.start()
    try:
        yield load
    finally:
        ended.set()
        thread.join(60)
        assert not thread.is_alive()


async def _call(
    load: Load, port: int, service: str, place: int, pause: float, ended: threading.Event
) -> None:
    number = 0
    while not ended.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            load.refused += 1
            await asyncio.sleep(PAUSE)
            continue
        try:
            while not ended.is_set():
                number += 1
                body = {"inputs": RECORD, "unit": f"u{place}-{number}"}
                load.replies.append(await ask(reader, writer, service, body))
                await asyncio.sleep(pause)
        except (OSError, asyncio.IncompleteReadError):
            load.broken += 1
        finally:
            writer.close()


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: str, body: dict[str, Any]
) -> TimedReply:
    content = json.dumps(body).encode()
    began = time.perf_counter()
    head = (
        f"POST /v1/models/{service}:predict HTTP/1.1\r\nhost: localhost\r\n"
        "content-type: application/json\r\n"
    )
    writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    content = await reader.readexactly(int(headers["content-length"]))
    seconds = time.perf_counter() - began
    return TimedReply(int(lines[0].split()[1]), json.loads(content), seconds)
