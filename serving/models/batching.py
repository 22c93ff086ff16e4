"""Adaptive micro-batching: calls of a slow model off the event loop, many callers' rows in one.

A call takes all rows that came during the call before, so that under load they share its fixed
cost. Callers whose answers come together often ask again at the same moment. So where recent calls
had several callers, the next call waits for as many, at most a tenth of a call's own duration. A
single caller never waits.
"""

import asyncio
import threading
import time
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


@dataclass(eq=False)
class _Job(Generic[Row, Result]):
    """One caller's rows, and the future with which it waits for the answers."""

    rows: Sequence[Row]
    loop: asyncio.AbstractEventLoop
    waiter: "asyncio.Future[list[Result]]"


class Batcher(Generic[Row, Result]):
    """One thread that calls a model; it ends with the process, even in the middle of a call."""

    def __init__(
        self,
        call: Callable[[list[Row]], list[Result]],
        name: str,
        max_rows: int = MAX_ROWS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._call, self._name = call, name
        self._max_rows, self._max_waiting = max_rows, max_waiting
        self._queue: SimpleQueue[_Job[Row, Result] | None] = SimpleQueue()
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
            self._queue.put(job)
            return await job.waiter
        finally:
            self._waiting -= len(rows)
            job.rows = ()  # behind a call that hangs the job may stay in the queue for long

    def close(self) -> None:
        """End the thread once it has answered the rows that wait."""
        if self._thread is not None:
            self._queue.put(None)

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
                _resolve(jobs[0], error)
            return
        finally:
            self._began = None
        place = 0
        for job, rows in zip(jobs, batch, strict=True):
            _resolve(job, results[place : place + len(rows)])
            place += len(rows)


def _resolve(job: _Job[Row, Result], found: list[Result] | Exception) -> None:
    """Pass the result to the caller, on its event loop, unless it was cancelled."""

    def resolve() -> None:
        if job.waiter.done():
            return
        if isinstance(found, Exception):
            job.waiter.set_exception(found)
        else:
            job.waiter.set_result(found)

    try:
        job.loop.call_soon_threadsafe(resolve)
    except RuntimeError:  # the loop was closed meanwhile: no caller waits
        return
