"""Log lines for machines: one JSON object a message, with the fields that are searched by.

A line never has the inputs or outputs of a request. The text of an exception may repeat a cell of
them, so only the texts of our errors and of the operating system are kept; of all others a line
has the class, and where it was raised.
"""

import json
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from sluice.errors import SluiceError

MOST_BYTES = 4096
"""Longest line, its end included: Linux writes so much into a pipe as a whole, so that the lines
of several processes never mix."""
CUT = " [...] "
FIELDS = ("service", "version", "arm", "request_id", "run_id", "trace_id")
"""Fields that a line has where they are known, besides time, level, process, logger, message."""
RENAMED = {
    "flow_run_id": "run_id",
    "flow_run_name": "run",
    "flow_name": "flow",
    "task_run_name": "task",
}
"""What Prefect calls these fields of its messages, and what they are called here."""
OURS = (SluiceError, OSError)
"""Exceptions whose text is about names, files and figures, not about a caller's data."""
RAISED = re.compile(r"(encountered an exception:? \w+).*", re.DOTALL)
"""The part of a final state's message that repeats the text of an exception."""
_bound: ContextVar[Mapping[str, Any] | None] = ContextVar("log fields", default=None)


@contextmanager
def bind_fields(**fields: Any) -> Iterator[None]:
    """Add fields to every line that the block writes, besides those that are bound already."""
    token = _bound.set({**(_bound.get() or {}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


class LineFormatter(logging.Formatter):
    """Formats a message as one line of JSON, without the end of the line."""

    def __init__(self, process: str) -> None:
        """Name the process that writes, such as `gateway`."""
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        error = record.exc_info[1] if record.exc_info else None
        entry = {
            "time": format_time(record.created),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": write_message(record, error),
            **_find_fields(record),
        }
        if error is not None:
            entry |= {"error": type(error).__name__, "traceback": describe_error(error)}
        return render_entry(entry)


def format_time(seconds: float) -> str:
    """Return a moment, in seconds since 1970, as RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_message(record: logging.LogRecord, error: BaseException | None) -> str:
    """Return a record's message, without the text of an exception that may repeat data."""
    found = [error] if error is not None else []
    given = record.args
    if isinstance(given, tuple):
        found += [item for item in given if isinstance(item, BaseException)]
    message = record.getMessage()
    for item in found:
        if isinstance(item, OURS):
            continue
        for text in (repr(item), str(item)):
            message = message.replace(text, type(item).__name__) if text else message
    return RAISED.sub(r"\1", message)


def describe_error(error: BaseException) -> str:
    """Return where an exception was raised, and the exceptions that led to it, the last first."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        text = f": {current}" if isinstance(current, OURS) else ""
        places = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{places}{type(current).__name__}{text}")
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    return "\ncaused by\n".join(parts)


def render_entry(entry: Mapping[str, Any]) -> str:
    """Return an entry as one line of ASCII; a longer traceback or message loses its middle."""
    line = json.dumps(entry, default=str)
    for name in ("traceback", "message"):
        over = len(line) + 1 - MOST_BYTES
        if over <= 0:
            break
        text = str(entry.get(name, ""))
        kept = max(len(text) - over - len(CUT), 0)
        first = kept - kept // 2
        shorter = text[:first] + CUT + text[len(text) - kept // 2 :]
        entry = {**entry, name: shorter} if name in entry else entry
        line = json.dumps(entry, default=str)
    return line


def _find_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields that are bound, and those that come with the message."""
    given = vars(record)
    own = {name: given[name] for name in FIELDS if given.get(name) is not None}
    renamed = {
        name: given[theirs] for theirs, name in RENAMED.items() if given.get(theirs) is not None
    }
    return {**(_bound.get() or {}), **renamed, **own}
