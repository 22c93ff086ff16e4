"""The access log: one line of JSON per answer, written by a thread of its own.

Where the processes write their log as JSON, its lines have the same fields and go to the same
place, unless the settings name a file of its own.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from typing import Any, TextIO

import msgspec

from serving.log.records import Answer
from sluice.adapters.telemetry.log_output import LineSink, find_sink
from sluice.config.serving import AccessLogConfig
from sluice.log_lines import format_time, render_entry

LOGGER = "sluice.access"
QUEUED = 1000
"""Batches that may wait, one per write of the request log; more are dropped and counted."""


class AccessLog:
    """A log for people that never blocks; every answer is in the traffic log."""

    def __init__(
        self, level: str, path: Path | None = None, sink: LineSink | None = None, process: str = ""
    ) -> None:
        """Write to a file, or to stderr; at level `errors` only answers whose assigned arm failed.

        With a `sink`, lines have the fields of all log lines, and go there if there is no file.

        Raises:
            OSError: the file cannot be opened.
        """
        self._all = level == "all"
        self._path = path
        self._stream: TextIO = path.open("a", encoding="utf-8") if path else sys.stderr
        self._sink = sink if path is None else None
        self._render: Callable[[Answer], str] = render_line
        if sink is not None:
            self._render = partial(render_log_line, process)
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
                self._write([self._render(item) for item in answers])
            except OSError:  # a full disk, or a reader that closed the pipe
                self.dropped += len(answers)

    def _write(self, lines: Sequence[str]) -> None:
        if self._sink is not None:
            self._sink.write(lines)
            return
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()


def open_access_log(config: AccessLogConfig, process: str = "") -> AccessLog | None:
    """Open the access log of the settings for a process; None where it is off.

    Raises:
        ConfigInvalid: the setting of the log is not allowed.
        OSError: its file cannot be opened.
    """
    if config.level == "off":
        return None
    path = Path(config.file) if config.file else None
    return AccessLog(config.level, path, find_sink(), process)


def render_line(answer: Answer) -> str:
    """Return an answer's line, without its end; it has no inputs, outputs or unit."""
    at = datetime.fromtimestamp(answer.at, UTC).isoformat(timespec="milliseconds")
    return msgspec.json.encode({"at": at, **_describe(answer)}).decode()


def render_log_line(process: str, answer: Answer) -> str:
    """Return an answer's line with the fields of all log lines."""
    how = f"failed: {answer.reason}" if answer.failed else "answered"
    entry = {
        "time": format_time(answer.at),
        "level": "warning" if answer.failed else "info",
        "process": process,
        "logger": LOGGER,
        "message": f"{how}; the champion answered" if answer.fallback else how,
        **{name: value for name, value in _describe(answer).items() if value is not None},
    }
    return render_entry(entry)


def _describe(answer: Answer) -> dict[str, Any]:
    return {
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
        "trace_id": answer.trace_id,
    }
