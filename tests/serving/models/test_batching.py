"""Many callers share a call of a slow model, and none of them harms another."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from serving.models.batching import FIRST_PAUSE, Batcher
from sluice.errors import AnswerInvalid, ArmBusy
from support.pace import slowed

PATIENCE = 30.0


class Model:
    """Doubles numbers; waits for a gate before its first call ends, and fails on 13."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.entered, self.gate = threading.Event(), threading.Event()
        self.threads: set[int] = set()

    def double(self, rows: list[int]) -> list[int]:
        self.calls.append(rows)
        self.threads.add(threading.get_ident())
        self.entered.set()
        self.gate.wait(PATIENCE)
        if 13 in rows:
            raise AnswerInvalid("found 13")
        return [2 * row for row in rows]


def run(
    body: Callable[[Model, Batcher[int, int]], Coroutine[Any, Any, None]], **limits: int
) -> Model:
    model = Model()
    batcher = Batcher(model.double, "a model", **limits)
    try:
        asyncio.run(asyncio.wait_for(body(model, batcher), PATIENCE))
    finally:
        model.gate.set()
        batcher.close()
    return model


async def begin(model: Model, batcher: Batcher[int, int], *row: int) -> "asyncio.Task[list[int]]":
    """Ask, and return once the model is running the call."""
    first = asyncio.create_task(batcher.ask(row))
    await asyncio.to_thread(model.entered.wait, PATIENCE)
    return first


def test_64_callers_at_once_get_their_own_answers_from_few_calls() -> None:
    async def body(model: Model, batcher: Batcher[int, int]) -> None:
        first = await begin(model, batcher, 0)
        others = [asyncio.create_task(batcher.ask([number, -number])) for number in range(100, 163)]
        await asyncio.sleep(0)
        model.gate.set()
        assert await first == [0]
        found = await asyncio.gather(*others)
        assert found == [[2 * number, -2 * number] for number in range(100, 163)]
        assert batcher.waiting == 0

    model = run(body)
    assert len(model.calls) == 2
    assert len(model.calls[1]) == 126
    assert threading.get_ident() not in model.threads


def test_callers_that_come_back_together_share_a_call() -> None:
    calls: list[int] = []

    def slow(rows: list[int]) -> list[int]:
        calls.append(len(rows))
        time.sleep(0.2)
        return rows

    async def ask_again(batcher: Batcher[int, int], caller: int) -> None:
        for turn in range(4):
            await asyncio.sleep(0.001 * caller)
            assert await batcher.ask([turn]) == [turn]

    async def body() -> None:
        batcher = Batcher(slow, "a model")
        await asyncio.gather(*(ask_again(batcher, caller) for caller in range(8)))
        batcher.close()

    asyncio.run(body())
    assert sum(calls) == 32
    assert len(calls) <= 5  # 1 and 7, then all 8 together; without waiting it is 8 calls


def test_a_single_caller_never_waits() -> None:
    waits: list[float] = []

    async def body() -> None:
        batcher = Batcher[int, float](lambda _: [time.monotonic()], "a model")
        for _ in range(50):
            began = time.monotonic()
            (entered,) = await batcher.ask([1])
            waits.append(entered - began)
            time.sleep(0.01)
        batcher.close()

    asyncio.run(body())
    assert sorted(waits)[25] < slowed(0.005)


def test_a_call_has_no_more_rows_than_allowed_and_no_callers_rows_are_split() -> None:
    async def body(model: Model, batcher: Batcher[int, int]) -> None:
        model.gate.set()
        answers = await asyncio.gather(*(batcher.ask([number] * 3) for number in range(20, 40)))
        assert answers == [[2 * number] * 3 for number in range(20, 40)]
        assert await batcher.ask(range(50, 100)) == [2 * number for number in range(50, 100)]

    model = run(body, max_rows=7)
    assert all(len(call) in (3, 6, 50) for call in model.calls)


def test_one_that_fails_fails_alone() -> None:
    async def body(model: Model, batcher: Batcher[int, int]) -> None:
        first = await begin(model, batcher, 0)
        others = [asyncio.create_task(batcher.ask([number])) for number in (12, 13, 14)]
        await asyncio.sleep(0)
        model.gate.set()
        found = await asyncio.gather(first, *others, return_exceptions=True)
        assert found[:2] + found[3:] == [[0], [24], [28]]
        assert isinstance(found[2], AnswerInvalid)

    run(body)


def test_a_hang_costs_a_caller_its_own_limit_and_the_loop_nothing() -> None:
    async def body(model: Model, batcher: Batcher[int, int]) -> None:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.005)

        turning = asyncio.create_task(turn())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await batcher.ask([1])
        turning.cancel()
        assert turns > 3
        assert batcher.waiting == 0

    run(body)


def test_rows_of_a_cancelled_caller_are_dropped() -> None:
    async def body(model: Model, batcher: Batcher[int, int]) -> None:
        first = await begin(model, batcher, 0)
        gone = asyncio.create_task(batcher.ask([1]))
        stays = asyncio.create_task(batcher.ask([2]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        model.gate.set()
        assert await stays == [4]
        assert await first == [0]

    assert run(body).calls == [[0], [2]]


def test_behind_a_hang_a_limited_number_waits() -> None:
    async def body(model: Model, batcher: Batcher[int, int]) -> None:
        first = await begin(model, batcher, 0)
        second = asyncio.create_task(batcher.ask([1, 2, 3]))
        await asyncio.sleep(0)
        with pytest.raises(ArmBusy, match="a model: 4 rows wait already; allowed: 4"):
            await batcher.ask([4])
        model.gate.set()
        assert [await first, await second] == [[0], [2, 4, 6]]
        assert await batcher.ask(range(9)) == [2 * number for number in range(9)]

    run(body, max_waiting=4)


def test_a_quick_model_gets_the_requests_of_an_iteration_at_once_and_answers_them_soon() -> None:
    async def body() -> None:
        batcher = Batcher[int, int](lambda rows: [2 * row for row in rows], "m", 1, is_quick=True)
        for _ in range(20):
            found = await asyncio.gather(*(batcher.ask([number]) for number in range(8)))
            assert found == [[2 * number] for number in range(8)]
        gone = asyncio.create_task(batcher.ask([1]))
        await asyncio.sleep(0)
        gone.cancel()
        assert await batcher.ask([2]) == [4]
        assert batcher.waiting == 0
        last = asyncio.create_task(batcher.ask([3]))
        await asyncio.sleep(0)
        batcher.close()
        assert await last == [6]

    asyncio.run(asyncio.wait_for(body(), PATIENCE))


@pytest.mark.parametrize("seconds", [0.01, 0.2, 30.0])
def test_a_model_thought_quick_that_is_slow_or_hangs_costs_the_loop_little(seconds: float) -> None:
    gate = threading.Event()

    def wait(rows: list[int]) -> list[int]:
        gate.wait(seconds)
        return rows

    async def body() -> float:
        batcher = Batcher[int, int](wait, "m", 1, is_quick=True)
        loop, stood = asyncio.get_running_loop(), 0.0
        hand_over = batcher._hand_over

        def timed(standstill: Any) -> None:
            nonlocal stood
            began = time.monotonic()
            hand_over(standstill)
            stood += time.monotonic() - began

        batcher._hand_over = timed  # type: ignore[method-assign]
        end = loop.time() + 1.0
        while loop.time() < end:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    assert await batcher.ask([1]) == [1]
        gate.set()
        batcher.close()
        return stood

    stood = asyncio.run(asyncio.wait_for(body(), PATIENCE))
    assert stood < slowed(0.1), "a few milliseconds"


def test_a_quick_model_that_was_slow_once_is_waited_for_again() -> None:
    slow, calls = threading.Event(), []

    def answer(rows: list[int]) -> list[int]:
        if slow.is_set():
            time.sleep(0.05)
        calls.append(threading.get_ident())
        return rows

    async def body() -> None:
        batcher = Batcher[int, int](answer, "m", 1, is_quick=True)
        assert batcher._standstill is not None
        slow.set()
        assert await batcher.ask([1]) == [1]
        assert not batcher._standstill.is_sensible
        slow.clear()
        assert await batcher.ask([2]) == [2]
        await asyncio.sleep(2 * FIRST_PAUSE)
        assert batcher._standstill.is_sensible
        assert await batcher.ask([3]) == [3]
        batcher.close()

    asyncio.run(asyncio.wait_for(body(), PATIENCE))
    assert threading.get_ident() not in calls


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    import subprocess
    import sys

    code = (
        "import asyncio, time; from serving.models.batching import Batcher\n"
        "async def ask():\n"
        "    batcher = Batcher(lambda _: time.sleep(600), 'a model')\n"
        "    async with asyncio.timeout(0.1): await batcher.ask([1])\n"
        "asyncio.run(ask())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "TimeoutError" in done.stderr
