"""The ledger of a worker: a record is in the log before its answer is sent, and counted after.

All records of one turn of the event loop go into the log with one write. Counters are made of the
same records, so that they equal the log; each quarter of a second they are put on disk with the
place in the log that they cover, and a death costs nothing but the replay from there.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from serving.log.counters import Counters, Slots, encode_snapshot
from serving.log.records import Answer, Record, Shadow, encode_record
from serving.log.spool import Spool, build_frame
from serving.log.worker_runs import begin_run
from sluice.config.serving import TrafficLogConfig
from sluice.errors import SpoolFull

SNAPSHOT_SECONDS = 0.25
Listener = Callable[[Sequence[Answer]], None]
Waiting = tuple[Record, asyncio.Future[None]]


class RequestLog:
    """One worker life's log and counters; belongs to one event loop."""

    def __init__(
        self,
        replica: Path,
        worker: str,
        started: str,
        config: TrafficLogConfig,
        on_logged: Sequence[Listener] = (),
    ) -> None:
        """Begin a life; `started` is a stamp that no life of the worker had.

        Each of `on_logged` is called with the answers of one write, after they are in the log.

        Raises:
            SpoolFull: there is no room for the first segment and the counters; nothing is left.
        """
        self.life, self._lock = begin_run(replica, worker, started)
        self.counters = Counters()
        try:
            self._slots = Slots(self.life.counters)
            self._spool = Spool(self.life.folder, config.segment_bytes)
        except (OSError, SpoolFull) as error:
            shutil.rmtree(self.life.folder, ignore_errors=True)
            os.close(self._lock)
            if isinstance(error, SpoolFull):
                raise
            raise SpoolFull(f"{replica}: {os.strerror(error.errno or 0)}") from error
        self._on_logged = on_logged
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._waiting: list[Waiting] = []
        self._broken = False
        self._dirty = False
        self._snapshot()
        self._timer = self._loop.call_later(SNAPSHOT_SECONDS, self._tick)

    @property
    def is_low(self) -> bool:
        """Whether the log's next segment has no room: time to turn the candidate off."""
        return self._broken or self._spool.is_low

    @property
    def is_broken(self) -> bool:
        """Whether a write failed: nothing can be logged any more, and the worker must end."""
        return self._broken

    def record(self, record: Record) -> asyncio.Future[None]:
        """Log a record in this turn's write; done means that it is in the log.

        Raises:
            SpoolFull: there is no room for it; nothing of it is logged.
        """
        if self._broken:
            raise SpoolFull(f"{self.life.folder}: the log cannot be written any more")
        item = build_frame(encode_record(record))
        self._spool.promise(len(item))
        done = self._loop.create_future()
        if not self._frames:
            self._loop.call_soon(self._flush)
        self._frames.append(item)
        self._waiting.append((record, done))
        return done

    def shadow(self, shadow: Shadow) -> bool:
        """Log what a candidate did in shadow; False where there is no room: then it counts not."""
        try:
            self.record(shadow)
        except SpoolFull:
            return False
        return True

    def close(self) -> None:
        """Write what is waiting and the last counters, and end the life."""
        self._timer.cancel()
        if self._frames:
            self._flush()
        if not self._broken:
            self._spool.close()
            self._snapshot(final=True)
        self._slots.close()
        os.close(self._lock)

    def _flush(self) -> None:
        frames, waiting = self._frames, self._waiting
        if not frames:
            return
        self._frames, self._waiting = [], []
        try:
            self._spool.write(frames)
        except OSError as error:
            self._fail(waiting, error)
            return
        answers = []
        for record, done in waiting:
            if not done.done():  # a caller that went away is logged all the same
                done.set_result(None)
            self.counters.apply(record)
            if isinstance(record, Answer):
                answers.append(record)
        self._dirty = True
        if answers:
            for listen in self._on_logged:
                listen(answers)

    def _fail(self, waiting: list[Waiting], error: OSError) -> None:
        """Stop counting: what of these records is in the file is found when the life is settled."""
        self._broken = True
        reason = SpoolFull(f"{self.life.folder}: not written: {os.strerror(error.errno or 0)}")
        for _, done in waiting:
            if not done.done():
                done.set_exception(reason)
                done.exception()  # nobody may be waiting for a shadow's record

    def _tick(self) -> None:
        if self._dirty and not self._broken:
            self._snapshot()
        if not self._broken:
            self._spool.reserve_next()
        self._timer = self._loop.call_later(SNAPSHOT_SECONDS, self._tick)

    def flush_counters(self) -> None:
        """Put the counters on disk now, so that a scrape of this replica sees them."""
        if self._dirty and not self._broken:
            self._snapshot()

    def _snapshot(self, final: bool = False) -> None:
        try:
            self._slots.write(encode_snapshot(self.counters, self._spool.position, final))
        except OSError:
            return  # no room for a larger file: the older snapshot and the log have everything
        self._dirty = False
