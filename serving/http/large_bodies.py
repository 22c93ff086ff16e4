"""Bodies that take long to decode: a thread does it, while the event loop answers others."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from serving.http.replies import CallFailed, ask_again
from sluice.errors import Refused

LARGE_BYTES = 16 * 1024
"""Larger bodies are decoded off the event loop; smaller ones take it less than a millisecond."""
WAITING = 16
"""Most large bodies of a worker at a time; more are 503 at once."""
Read = TypeVar("Read")


class LargeBodies:
    """One worker's large bodies, decoded one after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "large-bodies")
        self._waiting = 0

    async def read(self, body: bytes, read: Callable[[bytes], Read]) -> Read:
        """Return what `read` makes of a body; errors of `read` are raised here.

        Raises:
            CallFailed: 503, too many large bodies are waiting already.
        """
        if len(body) <= LARGE_BYTES:
            return read(body)
        if self._waiting >= WAITING:
            raise CallFailed(ask_again(f"{WAITING} large bodies are being read already"))
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, _read_or_refuse, body, read)
        finally:
            self._waiting -= 1
        if isinstance(found, _Refusal):
            raise found.reason
        return found


class _Refusal(NamedTuple):
    """Why a body is refused."""

    reason: Refused


def _read_or_refuse(body: bytes, read: Callable[[bytes], Read]) -> Read | _Refusal:
    """Return what `read` makes of a body, or why it is refused.

    The reason comes without its tracebacks: they keep everything that was decoded, and the event
    loop, which drops the reason, would have to free it.
    """
    try:
        return read(body)
    except Refused as error:
        reason: BaseException | None = error
        while reason is not None:
            reason = reason.with_traceback(None).__context__
        return _Refusal(error)
