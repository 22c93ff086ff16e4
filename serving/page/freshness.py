"""One read a second for everybody who looks, and what was read last where the store is away."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sluice.errors import ControlUnavailable, SluiceError

FRESH_SECONDS, OLD_SECONDS = 1.0, 5.0
"""How long a reading is shown again, and when one is called old."""
PATIENCE_SECONDS, FIRST_SECONDS = 1.5, 10.0
"""How long a new reading is waited for, and the first one, which there is nothing instead of."""
KEPT = 64
LOG = logging.getLogger("sluice.page")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What was read, how long ago, and why nothing newer is there; empty where that is well."""

    value: T
    age: float
    trouble: str = ""


class Readings:
    """Reads in one thread; who asks while a read is under way gets that one's result."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, "store")
        self._kept: OrderedDict[object, tuple[float, Any]] = OrderedDict()
        self._running: dict[object, asyncio.Future[None]] = {}
        self._trouble = ""

    async def get(self, key: object, read: Callable[[], T]) -> Reading[T]:
        """Give a reading that is a second old at most, or the last one with what is amiss.

        Raises:
            ControlUnavailable: there is none, and the store does not answer.
        """
        kept = self._kept.get(key)
        if kept is None or self._clock() - kept[0] >= FRESH_SECONDS:
            await self._wait(key, read, PATIENCE_SECONDS if kept else FIRST_SECONDS)
            kept = self._kept.get(key)
        if kept is None:
            raise ControlUnavailable(self._trouble or "the control store does not answer yet")
        age = self._clock() - kept[0]
        trouble = (self._trouble or "it does not answer") if age >= OLD_SECONDS else ""
        return Reading(kept[1], age, trouble)

    async def run(self, work: Callable[[], R]) -> R:
        """Do something with the store that changes it, in the same thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Let go of the thread; one that waits for a store is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _wait(self, key: object, read: Callable[[], T], seconds: float) -> None:
        running = self._running.get(key)
        if running is None:
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._pool, self._try, key, read)
            self._running[key] = running
            running.add_done_callback(lambda _: self._running.pop(key, None))
        await asyncio.wait([running], timeout=seconds)
        if running.done():
            running.result()  # a bug of ours is one for whoever asked

    def _try(self, key: object, read: Callable[[], object]) -> None:
        """Read once; a store that is away is no error here, but said beside what is known."""
        try:
            value = read()
        except SluiceError as error:
            if str(error) != self._trouble:
                LOG.warning("%s", error)
            self._trouble = str(error)
            return
        self._trouble = ""
        self._kept[key] = self._clock(), value
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
