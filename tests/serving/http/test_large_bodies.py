"""Large bodies are decoded by one thread, and few of them wait for it."""

import asyncio
import threading

import pytest

from serving.http.large_bodies import LARGE_BYTES, WAITING, LargeBodies
from serving.http.replies import CallFailed
from sluice.errors import RequestInvalid


def name_thread(body: bytes) -> str:
    return threading.current_thread().name


def test_only_large_bodies_leave_the_event_loop() -> None:
    async def test() -> None:
        bodies = LargeBodies()
        assert await bodies.read(b"x" * LARGE_BYTES, name_thread) == "MainThread"
        assert "large-bodies" in await bodies.read(b"x" * (LARGE_BYTES + 1), name_thread)

    asyncio.run(test())


def test_errors_of_decoding_come_back() -> None:
    def refuse(body: bytes) -> None:
        raise RequestInvalid("no")

    with pytest.raises(RequestInvalid, match=r"^no$"):
        asyncio.run(LargeBodies().read(b"x" * (LARGE_BYTES + 1), refuse))


def test_more_than_a_few_are_refused_at_once_and_small_ones_are_not() -> None:
    async def test() -> None:
        bodies, ended = LargeBodies(), threading.Event()
        large = b"x" * (LARGE_BYTES + 1)
        waiting = [
            asyncio.ensure_future(bodies.read(large, lambda _: ended.wait(20)))
            for _ in range(WAITING)
        ]
        await asyncio.sleep(0)
        with pytest.raises(CallFailed) as refused:
            await bodies.read(large, len)
        assert refused.value.reply.status == 503
        assert await bodies.read(b"x", len) == 1
        ended.set()
        assert await asyncio.gather(*waiting) == [True] * WAITING
        assert await bodies.read(large, len) == len(large)

    asyncio.run(test())
