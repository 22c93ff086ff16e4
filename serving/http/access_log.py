"""The access log: one line of JSON per answer, written by a thread of its own."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from typing import TextIO

import msgspec

from serving.log.records import Answer
from sluice.config.serving import AccessLogConfig

QUEUED = 1000
"""Batches that may wait, one per write of the request log; more are dropped and counted."""


class AccessLog:
    """A log for people that never blocks; every answer is in the traffic log."""

    def __init__(self, level: str, path: Path | None = None) -> None:
        """Write to a file, or to stderr; at level `errors` only answers whose assigned arm failed.

        Raises:
            OSError: the file cannot be opened.
        """
        self._all = level == "all"
        self._path = path
        self._stream: TextIO = path.open("a", encoding="utf-8") if path else sys.stderr
        self._queue: Queue[Sequence[Answer] | None] = Queue(QUEUED)
        self.dropped = 0
        """Answers without a line, because the reader was too slow."""
        self._thread = Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, answers: Sequence[Answer]) -> None:
        """Queue a line for each answer that the level includes."""
        wanted = answers if self._all else [item for item in answers if item.failed]
        if not wanted:
            return
        try:
            self._queue.put_nowait(wanted)
        except Full:
            self.dropped += len(wanted)

    def close(self) -> None:
        """Write the waiting lines, and end the thread."""
        self._queue.put(None)
        self._thread.join()
        if self._path:
            self._stream.close()

    def _run(self) -> None:
        while (answers := self._queue.get()) is not None:
            try:
                self._stream.write("".join(render_line(item) for item in answers))
                self._stream.flush()
            except OSError:  # a full disk, or a reader that closed the pipe
                self.dropped += len(answers)


def open_access_log(config: AccessLogConfig) -> AccessLog | None:
    """Open the access log of the settings; None where it is off.

    Raises:
        OSError: its file cannot be opened.
    """
    if config.level == "off":
        return None
    return AccessLog(config.level, Path(config.file) if config.file else None)


def render_line(answer: Answer) -> str:
    """Return an answer's line; it has no inputs, outputs or unit."""
    entry = {
        "at": datetime.fromtimestamp(answer.at, UTC).isoformat(timespec="milliseconds"),
        "request_id": answer.request_id,
        "service": answer.service,
        "version": answer.version,
        "arm": str(answer.arm),
        "arm_version": answer.arm_version,
        "epoch": answer.epoch,
        "latency_ms": round(answer.latency_ms, 3),
        "failed": answer.failed,
        "reason": answer.reason,
        "fallback": answer.fallback,
    }
    return msgspec.json.encode(entry).decode() + "\n"
