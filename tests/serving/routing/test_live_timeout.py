"""A time limit that does not count a standstill of the whole process."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvloop

from serving.routing.calls import LiveTimeout
from support.pace import slowed

LIMIT = 0.4
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return asyncio.run if request.param == "asyncio" else uvloop.run


def test_a_block_that_takes_too_long_is_cancelled_at_the_limit(run: Run) -> None:
    async def body() -> None:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with LiveTimeout(LIMIT) as limit:
                await asyncio.sleep(60)
        assert limit.is_over
        assert LIMIT - 0.01 <= time.monotonic() - began < slowed(10)

    run(body())


def test_a_block_in_time_is_not_cancelled_and_leaves_no_timer(run: Run) -> None:
    async def body() -> None:
        async with LiveTimeout(LIMIT) as limit:
            await asyncio.sleep(LIMIT / 4)
        await asyncio.sleep(2 * LIMIT)
        assert not limit.is_over

    run(body())


def test_a_standstill_of_the_process_does_not_count(run: Run) -> None:
    async def body() -> None:
        async with LiveTimeout(LIMIT) as limit:
            for _ in range(3):
                time.sleep(2 * LIMIT)
                await asyncio.sleep(0)
        assert not limit.is_over

    run(body())


def test_an_answer_that_came_during_a_standstill_is_accepted(run: Run) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            for _ in range(10):
                async with LiveTimeout(LIMIT):
                    answer = loop.run_in_executor(pool, time.sleep, LIMIT / 2)
                    await asyncio.sleep(LIMIT / 4)
                    time.sleep(LIMIT)
                    await answer

    run(body())


def test_a_timeout_from_inside_is_not_taken_for_the_limit(run: Run) -> None:
    async def body() -> None:
        limit = LiveTimeout(LIMIT)
        with pytest.raises(TimeoutError, match="of the model"):
            async with limit:
                raise TimeoutError("of the model")
        assert not limit.is_over

    run(body())


def test_a_cancellation_from_outside_passes(run: Run) -> None:
    async def wait() -> None:
        async with LiveTimeout(60):
            await asyncio.sleep(60)

    async def body() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(body())
