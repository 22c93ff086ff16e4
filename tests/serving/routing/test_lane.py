"""What a candidate is blamed for: what it did, and not that nobody had a thread for it."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from serving.models.batching import Batcher
from serving.models.predictors import ModelPredictor, Timed
from serving.models.signature import Prediction, Record
from serving.routing.calls import Call, CandidatePool

LIMIT_MS, QUICK = 400.0, 0.02
ANSWER = Prediction("yes")


class Threaded(ModelPredictor):
    """The way of a candidate's predictor through its thread, around a call of one's own."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call, self._inline = call, False
        self._batcher: Batcher[Record, Timed] = Batcher(self._answer, "a candidate", most_rows=1)

    def _answer(self, records: Sequence[Record]) -> list[Timed]:
        self._call()
        return [(ANSWER, QUICK) for _ in records]


@contextmanager
def hanging() -> Iterator[Callable[[], None]]:
    gate = threading.Event()
    try:
        yield lambda: void(gate.wait(30))
    finally:
        gate.set()


def void(_: object) -> None:
    """Drop what a call gave."""


def ask(call: Callable[[], None], requests: int, places: int) -> list[Call]:
    async def body() -> list[Call]:
        predictor = Threaded(call)
        lane = CandidatePool(predictor, places, LIMIT_MS, shares=True)
        asked = (lane.ask([()], msgspec.Raw(b"")) for _ in range(requests))
        found = await asyncio.gather(*asked)
        predictor.close()
        return found

    return asyncio.run(body())


def count(calls: Sequence[Call]) -> Counter[tuple[str, bool]]:
    return Counter((call.reason, call.judged) for call in calls)


def test_a_hang_is_judged_for_all_that_wait_behind_it() -> None:
    with hanging() as call:
        assert count(ask(call, 6, 8)) == {("timeout", True): 6}


def test_without_a_place_nobody_was_asked() -> None:
    with hanging() as call:
        assert count(ask(call, 6, 2)) == {("timeout", True): 2, ("busy", False): 4}


def test_behind_calls_that_are_quick_who_had_no_turn_is_not_judged() -> None:
    found = count(ask(lambda: time.sleep(QUICK), 60, 60))
    assert set(found) == {("", True), ("busy", False)}
    assert found["", True] >= 5


def test_a_burst_waits_for_its_places() -> None:
    assert count(ask(lambda: time.sleep(QUICK / 10), 20, 2)) == {("", True): 20}


def test_a_timeout_that_the_model_raises_is_its_failure() -> None:
    def fail() -> None:
        raise TimeoutError("of the model")

    assert count(ask(fail, 3, 8)) == {("timeout", True): 3}
