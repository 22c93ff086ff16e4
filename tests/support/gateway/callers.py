"""Callers that ask without pause, keep their replies, and reconnect after a broken connection."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

RECORD = {"size": 1.0, "town": "ayr", "here": True}
PAUSE = 0.02


@dataclass
class TimedReply:
    """One whole reply."""

    status: int
    body: dict[str, Any]
    seconds: float
    at: float = field(default_factory=time.monotonic)
    """When it was whole."""
    caller: str = ""


@dataclass
class Load:
    """The replies of all callers; `broken` counts connections that broke during a request."""

    replies: list[TimedReply] = field(default_factory=list)
    broken: int = 0
    refused: int = 0

    @property
    def statuses(self) -> set[int]:
        return {item.status for item in self.replies}

    def find_longest_wait(self, since: float) -> float:
        """Return the longest time that one of the callers waited for an answer from then on."""
        waits = []
        for caller in {item.caller for item in self.replies}:
            answered = [
                item.at for item in self.replies if (item.caller, item.status) == (caller, 200)
            ]
            later = [at for at in answered if at > since]
            waits.append((min(later) if later else time.monotonic()) - since)
        return max(waits)

    @property
    def ids(self) -> set[str]:
        return {item.body["request_id"] for item in self.replies if item.status == 200}


Request = tuple[str, dict[str, Any]]
"""A path and a body."""


def ask_prompt(service: str, place: int, number: int) -> Request:
    """The request of a caller of a prompt with one variable."""
    values = {"variables": f"person {place} {number}", "unit": f"u{place}-{number}"}
    return f"/v1/prompts/{service}", values


def ask_model(service: str, place: int, number: int) -> Request:
    """The request of a caller of the model `towns`."""
    return f"/v1/models/{service}:predict", {"inputs": RECORD, "unit": f"u{place}-{number}"}


@contextmanager
def run_load(
    ports: list[int],
    service: str,
    callers: int = 4,
    pause: float = 0.002,
    make: Callable[[str, int, int], Request] = ask_model,
) -> Iterator[Load]:
    """Ask from so many connections until the block ends, spread over the ports."""
    load, ended = Load(), threading.Event()

    async def call_all() -> None:
        tasks = [
            _call(load, ports[place % len(ports)], partial(make, service, place), pause, ended)
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
    load: Load,
    port: int,
    make: "partial[Request]",
    pause: float,
    ended: threading.Event,
) -> None:
    number, place = 0, make.args[1]
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
                reply = await send(reader, writer, *make(number))
                reply.caller = f"caller {place}"
                load.replies.append(reply)
                await asyncio.sleep(pause)
        except (OSError, asyncio.IncompleteReadError):
            load.broken += 1
        finally:
            writer.close()


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: str, body: dict[str, Any]
) -> TimedReply:
    """Ask a model."""
    return await send(reader, writer, f"/v1/models/{service}:predict", body)


async def send(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: dict[str, Any]
) -> TimedReply:
    """Send one request, and return its whole reply."""
    content = json.dumps(body).encode()
    began = time.perf_counter()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    content = await reader.readexactly(int(headers["content-length"]))
    seconds = time.perf_counter() - began
    return TimedReply(int(lines[0].split()[1]), json.loads(content), seconds)
