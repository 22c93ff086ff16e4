"""Adaptive micro-batching: calls of a slow model off the event loop, many callers' rows in one.

A call takes all rows that came during the call before, so that under load they share its fixed
cost. Callers whose answers come together often ask again at the same moment. So where recent calls
had several callers, the next call waits for as many, at most a tenth of a call's own duration. A
single caller never waits.

A model that takes a fraction of a millisecond costs less than the way to its thread and back: two
threads take turns for the interpreter, and each turn is a switch by the system. So the event loop
hands a quick model all requests of one iteration at once, and stands still for the moment of their
calls. That moment has a limit, and after a call that was longer the loop does not wait for a while.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from sluice.errors import ArmBusy

Row = TypeVar("Row")
Result = TypeVar("Result")
MAX_ROWS = 256
"""Most rows of one call; a single caller's rows are never split."""
WAIT_SHARE = 0.1
"""How long a call waits for other callers at most, as a share of the duration of the one before."""
MAX_WAITING = 4096
"""Most rows that may wait, about a second's work of a slow pipeline."""
QUICK_ROWS, QUICK_SECONDS = 32, 0.002
"""Most rows of calls for which the event loop stands still, and how long it does at most."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""How long it does not after it did so in vain; doubled each time, so a slow model costs it 2 %."""


@dataclass(eq=False)
class _Job(Generic[Row, Result]):
    """One caller's rows, and the future with which it waits for the answers."""

    rows: Sequence[Row]
    loop: asyncio.AbstractEventLoop
    waiter: "asyncio.Future[list[Result]]"
    found: list[Result] | Exception | None = None


class _Standstill:
    """Lets the event loop wait for a thread's answers, for a limited time."""

    def __init__(self) -> None:
        self._guard, self._all_done = threading.Lock(), threading.Lock()
        self._all_done.acquire()
        self._wanted = 0
        self._pause, self._not_before = FIRST_PAUSE, 0.0

    def plan(self, calls: int) -> None:
        """Announce to the thread how many calls are waited for; before it gets them."""
        self._wanted = calls

    @property
    def is_sensible(self) -> bool:
        """Whether the thread was quick of late."""
        return time.monotonic() >= self._not_before

    def wait(self) -> None:
        """Wait until all calls are done, or the time is over; the latter has a pause behind it."""
        is_quick = self._all_done.acquire(timeout=QUICK_SECONDS)
        if is_quick:
            self._pause = FIRST_PAUSE
            return
        with self._guard:
            self._wanted = 0
            self._all_done.acquire(blocking=False)
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def count(self) -> bool:
        """Count a call that is done, in the thread; return whether the event loop waits for it."""
        with self._guard:
            if not self._wanted:
                return False
            self._wanted -= 1
            if not self._wanted:
                self._all_done.release()
            return True


class Batcher(Generic[Row, Result]):
    """One thread that calls a model; it ends with the process, even in the middle of a call.

    `is_quick`: a call takes a fraction of a millisecond, so that the event loop waits for it.
    """

    def __init__(
        self,
        call: Callable[[list[Row]], list[Result]],
        name: str,
        max_rows: int = MAX_ROWS,
        max_waiting: int = MAX_WAITING,
        is_quick: bool = False,
    ) -> None:
        self._call, self._name = call, name
        self._max_rows, self._max_waiting = max_rows, max_waiting
        self._queue: SimpleQueue[_Job[Row, Result] | None] = SimpleQueue()
        self._new: list[_Job[Row, Result]] = []
        self._done: deque[_Job[Row, Result]] = deque()
        self._is_told = False
        self._standstill = _Standstill() if is_quick else None
        self._waiting = 0
        self._began: float | None = None
        self._duration, self._callers = 0.0, 1.0
        self._thread: threading.Thread | None = None

    @property
    def running_seconds(self) -> float:
        """How long the current call has been running; 0 where none is."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    @property
    def waiting(self) -> int:
        """Number of rows that wait or are being answered."""
        return self._waiting

    async def ask(self, rows: Sequence[Row]) -> list[Result]:
        """Return the answers to these rows, in their order; rows of a cancelled caller are dropped.

        Raises:
            ArmBusy: too many rows wait already, as happens where a call hangs.
        """
        if self._waiting and self._waiting + len(rows) > self._max_waiting:
            raise ArmBusy(
                f"{self._name}: {self._waiting:,} rows wait already; allowed: {self._max_waiting:,}"
            )
        loop = asyncio.get_running_loop()
        job = _Job[Row, Result](rows, loop, loop.create_future())
        self._start()
        self._waiting += len(rows)
        try:
            if self._standstill is None:
                self._queue.put(job)
            else:
                if not self._new:
                    loop.call_soon(self._hand_over, self._standstill)
                self._new.append(job)
            return await job.waiter
        finally:
            self._waiting -= len(rows)
            job.rows = ()  # behind a call that hangs the job may stay in the queue for long

    def close(self) -> None:
        """End the thread once it has answered the rows that wait."""
        if self._thread is not None:
            for job in (*self._take_new(), None):
                self._queue.put(job)

    def _take_new(self) -> list[_Job[Row, Result]]:
        jobs, self._new = self._new, []
        return [job for job in jobs if not job.waiter.done()]

    def _hand_over(self, standstill: _Standstill) -> None:
        """Give the thread the jobs of one iteration, and wait a moment for a quick model."""
        jobs = self._take_new()
        rows = sum(len(job.rows) for job in jobs)
        waits = 0 < rows <= QUICK_ROWS and rows == self._waiting and standstill.is_sensible
        if waits:
            standstill.plan(len(jobs))
        for job in jobs:
            self._queue.put(job)
        if waits:
            standstill.wait()
            self._collect()

    def _start(self) -> None:
        if self._thread is None:
            # A daemon: a call that hangs must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        held: _Job[Row, Result] | None = None
        while True:
            first = held or self._queue.get()
            if first is None:
                return
            jobs, held, is_last = self._gather(first)
            began = time.monotonic()
            self._answer([job for job in jobs if not job.waiter.done()])
            self._duration = time.monotonic() - began
            self._callers = max(len(jobs) + self._queue.qsize(), self._callers / 2)
            if is_last:
                return

    def _gather(
        self, first: _Job[Row, Result]
    ) -> tuple[list[_Job[Row, Result]], _Job[Row, Result] | None, bool]:
        """Return the jobs of one call, a job that no longer fits, and whether to end after it."""
        jobs, rows = [first], len(first.rows)
        deadline = time.monotonic() + WAIT_SHARE * self._duration
        while True:
            try:
                is_full = rows >= self._max_rows or len(jobs) >= self._callers
                job = self._take(0.0 if is_full else deadline - time.monotonic())
            except Empty:
                return jobs, None, False
            if job is None:
                return jobs, None, True
            rows += len(job.rows)
            if rows > self._max_rows:
                return jobs, job, False
            jobs.append(job)

    def _take(self, seconds: float) -> _Job[Row, Result] | None:
        return self._queue.get(timeout=seconds) if seconds > 0 else self._queue.get_nowait()

    def _answer(self, jobs: list[_Job[Row, Result]]) -> None:
        """Answer all jobs in one call; where that fails, one by one, so that one harms no other."""
        if not jobs:
            return
        batch = [job.rows for job in jobs]
        self._began = time.monotonic()
        try:
            results = self._call([row for rows in batch for row in rows])
        except Exception as error:  # whatever the model raises, its caller gets it
            if len(jobs) > 1:
                for job in jobs:
                    self._answer([job])
            else:
                self._resolve(jobs[0], error)
            return
        finally:
            self._began = None
        place = 0
        for job, rows in zip(jobs, batch, strict=True):
            self._resolve(job, results[place : place + len(rows)])
            place += len(rows)

    def _resolve(self, job: _Job[Row, Result], found: list[Result] | Exception) -> None:
        """Pass a result to the event loop; one wake-up is enough for several."""
        job.found = found
        self._done.append(job)
        if (self._standstill and self._standstill.count()) or self._is_told:
            return
        self._is_told = True
        try:
            job.loop.call_soon_threadsafe(self._collect)
        except RuntimeError:  # the loop was closed meanwhile: no caller waits
            self._is_told = False

    def _collect(self) -> None:
        """Give the callers their results, on their event loop."""
        self._is_told = False  # first: a result that comes from now on has a wake-up of its own
        while self._done:
            job = self._done.popleft()
            if job.waiter.done():  # it was cancelled
                continue
            if isinstance(job.found, Exception):
                job.waiter.set_exception(job.found)
            else:
                job.waiter.set_result(job.found or [])
