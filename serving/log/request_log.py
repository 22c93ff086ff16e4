"""The request log of a worker: a record is in the spool before its answer is sent.

All records of one iteration of the event loop go into the spool with one write. The counters count
the same records, so that they equal the log. Four times a second they are saved to disk with the
position that they cover: after a kill the records behind it are counted again, and nothing is lost.
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
    """One worker run's log and counters; belongs to one event loop."""

    def __init__(
        self,
        replica: Path,
        worker: str,
        started: str,
        config: TrafficLogConfig,
        on_logged: Sequence[Listener] = (),
    ) -> None:
        """Begin a run; `started` is a stamp that no other run of the worker has.

        Each of `on_logged` is called with the answers of one write, after they are in the log.

        Raises:
            SpoolFull: there is no room for the first segment and the counters; no file is left.
        """
        self.run, self._lock = begin_run(replica, worker, started)
        self.counters = Counters()
        try:
            self._slots = Slots(self.run.counters)
            self._spool = Spool(self.run.folder, config.segment_bytes)
        except (OSError, SpoolFull) as error:
            shutil.rmtree(self.run.folder, ignore_errors=True)
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
        """Whether there is no room for the next segment: then the candidate gets nothing."""
        return self._broken or self._spool.is_low

    @property
    def is_full(self) -> bool:
        """Whether the last answer found no room: then nothing is answered."""
        return self._broken or self._spool.is_full

    @property
    def is_broken(self) -> bool:
        """Whether a write failed: nothing can be logged now, and the worker must stop."""
        return self._broken

    def record(self, record: Record) -> asyncio.Future[None]:
        """Log a record with the next write; the future is done when the record is in the log.

        Raises:
            SpoolFull: there is no room for it; no part of it is logged.
        """
        if self._broken:
            raise SpoolFull(f"{self.run.folder}: the log cannot be written any more")
        frame = build_frame(encode_record(record))
        self._spool.promise(len(frame))
        done = self._loop.create_future()
        if not self._frames:
            self._loop.call_soon(self._flush)
        self._frames.append(frame)
        self._waiting.append((record, done))
        return done

    def record_shadow(self, shadow: Shadow) -> bool:
        """Log a shadow call; return False where there is no room: then it counts nowhere."""
        try:
            self.record(shadow)
        except SpoolFull:
            return False
        return True

    def flush_counters(self) -> None:
        """Save the counters to disk now, so that a scrape of this replica sees them."""
        if self._dirty and not self._broken:
            self._snapshot()

    def close(self) -> None:
        """Write the waiting records and the last counters, and end the run."""
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
            if not done.done():  # the request of a caller that hung up is logged, too
                done.set_result(None)
            self.counters.apply(record)
            if isinstance(record, Answer):
                answers.append(record)
        self._dirty = True
        if answers:
            for listen in self._on_logged:
                listen(answers)

    def _fail(self, waiting: list[Waiting], error: OSError) -> None:
        """Stop counting: settling the run finds which of these records are in the file."""
        self._broken = True
        reason = SpoolFull(f"{self.run.folder}: not written: {os.strerror(error.errno or 0)}")
        for _, done in waiting:
            if not done.done():
                done.set_exception(reason)
                done.exception()  # read here, since no one waits for the record of a shadow call

    def _tick(self) -> None:
        if self._dirty and not self._broken:
            self._snapshot()
        if not self._broken:
            self._spool.reserve_next()
        self._timer = self._loop.call_later(SNAPSHOT_SECONDS, self._tick)

    def _snapshot(self, final: bool = False) -> None:
        try:
            self._slots.write(encode_snapshot(self.counters, self._spool.position, final))
        except OSError:
            return  # no room for a larger file: the snapshot before and the log have everything
        self._dirty = False
