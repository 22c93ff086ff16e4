"""What counts against a candidate: its own calls, not the wait for a slot or a thread."""

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
    """A candidate's predictor with its thread, around a call of the test."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call, self._inline = call, False
        self._batcher: Batcher[Record, Timed] = Batcher(self._answer, "a candidate", max_rows=1)

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
    """Drop a result."""


def ask(call: Callable[[], None], requests: int, slots: int) -> list[Call]:
    async def body() -> list[Call]:
        predictor = Threaded(call)
        pool = CandidatePool(predictor, slots, LIMIT_MS, shares_records=True)
        calls = (pool.ask([()], msgspec.Raw(b"")) for _ in range(requests))
        found = await asyncio.gather(*calls)
        predictor.close()
        return found

    return asyncio.run(body())


def count(calls: Sequence[Call]) -> Counter[tuple[str, bool]]:
    return Counter((call.reason, call.is_evidence) for call in calls)


def test_a_hang_is_evidence_for_all_that_wait_behind_it() -> None:
    with hanging() as call:
        assert count(ask(call, 6, 8)) == {("timeout", True): 6}


def test_without_a_slot_the_model_was_not_called() -> None:
    with hanging() as call:
        assert count(ask(call, 6, 2)) == {("timeout", True): 2, ("busy", False): 4}


def test_behind_quick_calls_a_request_without_a_turn_is_not_evidence() -> None:
    found = count(ask(lambda: time.sleep(QUICK), 60, 60))
    assert set(found) == {("", True), ("busy", False)}
    assert found["", True] >= 5


def test_a_burst_waits_for_its_slots() -> None:
    assert count(ask(lambda: time.sleep(QUICK / 10), 20, 2)) == {("", True): 20}


def test_a_timeout_that_the_model_raises_is_its_failure() -> None:
    def fail() -> None:
        raise TimeoutError("of the model")

    assert count(ask(fail, 3, 8)) == {("timeout", True): 3}
