"""Calls of a slow model off the event loop, many callers' rows in one call.

A call takes what came while the one before was at work, so that under load its fixed cost is shared
by all that wait. Callers that got their answers together often ask again within the same moment:
where calls had company of late, the next one waits for as much, for a tenth of a call's own time at
most. Who asks alone is asked for at once.
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
Given = TypeVar("Given")
MOST_ROWS = 256
"""Most rows of one call; a single caller's rows are never divided."""
WAIT = 0.1
"""Most that a call waits for company, as a share of what the one before took."""
MOST_WAITING = 4096
"""Most rows that may wait, about a second's worth of a slow pipeline."""


@dataclass(eq=False)
class _Job(Generic[Row, Given]):
    """One caller's rows, and where it waits for the answers."""

    rows: Sequence[Row]
    loop: asyncio.AbstractEventLoop
    waiter: "asyncio.Future[list[Given]]"


class Batcher(Generic[Row, Given]):
    """One thread that asks a model; it ends with the process, even in the midst of a call."""

    def __init__(
        self,
        call: Callable[[list[Row]], list[Given]],
        name: str,
        most_rows: int = MOST_ROWS,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._call, self._name = call, name
        self._most_rows, self._most_waiting = most_rows, most_waiting
        self._queue: SimpleQueue[_Job[Row, Given] | None] = SimpleQueue()
        self._waiting = 0
        self._began: float | None = None
        self._took, self._company = 0.0, 1.0
        self._thread: threading.Thread | None = None

    @property
    def running_seconds(self) -> float:
        """For how long the model has been at work on its present call; 0 where it is at none."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    @property
    def waiting(self) -> int:
        """How many rows wait or are being answered."""
        return self._waiting

    async def ask(self, rows: Sequence[Row]) -> list[Given]:
        """Give the answers to these rows, in their order; who is cancelled is asked for no more.

        Raises:
            ArmBusy: too many rows wait already, as they do where a call hangs.
        """
        if self._waiting and self._waiting + len(rows) > self._most_waiting:
            raise ArmBusy(
                f"{self._name}: {self._waiting:,} rows wait already; "
                f"allowed: {self._most_waiting:,}"
            )
        loop = asyncio.get_running_loop()
        job = _Job[Row, Given](rows, loop, loop.create_future())
        self._start()
        self._waiting += len(rows)
        try:
            self._queue.put(job)
            return await job.waiter
        finally:
            self._waiting -= len(rows)
            job.rows = ()  # behind a call that hangs the job itself may lie for long

    def close(self) -> None:
        """Let the thread end once it has answered what waits."""
        if self._thread is not None:
            self._queue.put(None)

    def _start(self) -> None:
        if self._thread is None:
            # A daemon: a call that hangs must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        held: _Job[Row, Given] | None = None
        while True:
            first = held or self._queue.get()
            if first is None:
                return
            jobs, held, is_last = self._gather(first)
            began = time.monotonic()
            self._answer([job for job in jobs if not job.waiter.done()])
            self._took = time.monotonic() - began
            self._company = max(len(jobs) + self._queue.qsize(), self._company / 2)
            if is_last:
                return

    def _gather(
        self, first: _Job[Row, Given]
    ) -> tuple[list[_Job[Row, Given]], _Job[Row, Given] | None, bool]:
        """Give what waits with the first, the one that no longer fits, and whether to end then."""
        jobs, rows = [first], len(first.rows)
        deadline = time.monotonic() + WAIT * self._took
        while True:
            try:
                is_full = rows >= self._most_rows or len(jobs) >= self._company
                job = self._take(0.0 if is_full else deadline - time.monotonic())
            except Empty:
                return jobs, None, False
            if job is None:
                return jobs, None, True
            rows += len(job.rows)
            if rows > self._most_rows:
                return jobs, job, False
            jobs.append(job)

    def _take(self, seconds: float) -> _Job[Row, Given] | None:
        return self._queue.get(timeout=seconds) if seconds > 0 else self._queue.get_nowait()

    def _answer(self, jobs: list[_Job[Row, Given]]) -> None:
        """Answer all in one call; where that fails, each by itself, so that one harms no other."""
        if not jobs:
            return
        taken = [job.rows for job in jobs]
        self._began = time.monotonic()
        try:
            given = self._call([row for rows in taken for row in rows])
        except Exception as error:  # whatever the model raises belongs to whom it concerns
            if len(jobs) > 1:
                for job in jobs:
                    self._answer([job])
            else:
                _settle(jobs[0], error)
            return
        finally:
            self._began = None
        place = 0
        for job, rows in zip(jobs, taken, strict=True):
            _settle(job, given[place : place + len(rows)])
            place += len(rows)


def _settle(job: _Job[Row, Given], found: list[Given] | Exception) -> None:
    """Hand over what was found on the caller's loop, unless the caller is gone."""

    def hand_over() -> None:
        if job.waiter.done():
            return
        if isinstance(found, Exception):
            job.waiter.set_exception(found)
        else:
            job.waiter.set_result(found)

    try:
        job.loop.call_soon_threadsafe(hand_over)
    except RuntimeError:  # the loop was closed meanwhile: nobody waits
        return
