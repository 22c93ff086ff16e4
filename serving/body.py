"""Reading a request's body: at most so many bytes, in at most so many seconds."""

import asyncio
from collections.abc import Iterable

from serving.reply import JSON, CallFailed, Receive, explain
from sluice.config.serving import LimitsConfig

CLOSE = (b"connection", b"close")
"""What was not read is still on its way: the connection cannot be used again."""


class CallerGone(Exception):  # noqa: N818
    """The caller hung up before its request was whole."""


async def read_body(
    receive: Receive, headers: Iterable[tuple[bytes, bytes]], limits: LimitsConfig
) -> bytes:
    """Give the whole body.

    Raises:
        CallFailed: 413 too large, 415 not JSON, 408 too slow.
        CallerGone: nobody waits for an answer.
    """
    _check_headers(headers, limits.body_bytes)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _gather(receive, limits.body_bytes)
    except TimeoutError as error:
        message = f"the body did not come within {limits.body_seconds:g} s"
        raise CallFailed(explain(408, message, "", CLOSE)) from error


def _check_headers(headers: Iterable[tuple[bytes, bytes]], most: int) -> None:
    for name, value in headers:
        if name == b"content-length":
            if value.isdigit() and int(value[:20]) > most:
                raise _refuse_size(most)
        elif name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
            if kind != JSON:
                found = kind[:100].decode("latin-1") or "nothing"
                message = f"content-type: found {found}; allowed: application/json"
                raise CallFailed(explain(415, message, "", CLOSE))


async def _gather(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _refuse_size(most)
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def _refuse_size(most: int) -> CallFailed:
    message = f"the body is too large; allowed: {most:,} bytes"
    return CallFailed(explain(413, message, "", CLOSE))
