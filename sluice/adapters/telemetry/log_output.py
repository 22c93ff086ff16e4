"""Where the log of a process goes, as `SLUICE_LOG` says: text, or JSON to stdout or a file."""

import logging
import os
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import TracebackType

from sluice.errors import ConfigInvalid
from sluice.log_lines import MOST_BYTES, LineFormatter

VARIABLE = "SLUICE_LOG"
TEXT, JSON = "text", "json"
STDOUT = 1
PLAIN = "%(levelname)s %(message)s"
CLOCK = "%(asctime)s  %(message)s"
"""The forms of text."""
LOG = logging.getLogger("sluice")


class LineSink:
    """Writes whole lines to stdout or to the end of a file that several processes may share.

    A file that was moved away is created anew, as `logrotate` needs it.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open the file; without one, lines go to stdout.

        Raises:
            OSError: the file cannot be opened.
        """
        self.path = path
        self._lock = threading.Lock()
        self._descriptor = STDOUT if path is None else self._open(path)

    def write(self, lines: Sequence[str]) -> None:
        """Write lines, each ended; what one call writes at a time are whole lines.

        Raises:
            OSError: the disk is full, or the reader closed the pipe.
        """
        with self._lock:
            if self.path is not None:
                self._follow(self.path)
            for part in _join_lines(lines):
                done = 0
                while done < len(part):  # more than once only where the first write was cut short
                    done += os.write(self._descriptor, part[done:])

    def _follow(self, path: Path) -> None:
        """Open the file again where its name stands for another one by now."""
        try:
            is_same = os.path.samestat(os.fstat(self._descriptor), path.stat())
        except FileNotFoundError:
            is_same = False
        if not is_same:
            before, self._descriptor = self._descriptor, self._open(path)
            os.close(before)

    @staticmethod
    def _open(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _join_lines(lines: Sequence[str]) -> list[bytes]:
    """Return lines as bytes in parts that are written as a whole."""
    parts = [b""]
    for line in lines:
        content = line.encode() + b"\n"
        if len(parts[-1]) + len(content) > MOST_BYTES:
            parts.append(b"")
        parts[-1] += content
    return parts


class LineHandler(logging.Handler):
    """Writes each message as one line; lines that cannot be written are lost."""

    def __init__(self, sink: LineSink, process: str) -> None:
        super().__init__()
        self._sink = sink
        self.setFormatter(LineFormatter(process))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        try:
            self._sink.write([self.format(record)])
        except OSError:  # a full disk or a closed pipe costs lines, never what the process does
            return
        except Exception:  # a message that cannot be formatted
            self.handleError(record)


def find_sink() -> LineSink | None:
    """Return where JSON lines go; None where the log is text.

    Raises:
        ConfigInvalid: the setting is not allowed, or its file cannot be opened.
    """
    return _open_sink(os.environ.get(VARIABLE, ""))


@cache
def _open_sink(setting: str) -> LineSink | None:
    kind, _, path = setting.partition(":")
    if setting in ("", TEXT):
        return None
    if kind != JSON or (path and not Path(path).is_absolute()) or setting == f"{JSON}:":
        raise ConfigInvalid(
            f"{VARIABLE}: found '{setting[:100]}'; allowed: {TEXT}, {JSON} (lines of JSON to "
            f"stdout), or {JSON}: and the absolute path of a file"
        )
    try:
        return LineSink(Path(path) if path else None)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ConfigInvalid(
            f"{VARIABLE}: {path}: {reason}; next: create its folder, or name another file"
        ) from error


def start_json_log(process: str, level: int = logging.INFO) -> bool:
    """Have all messages of this process as JSON lines, if the setting says so; return whether.

    Errors that end the process or a thread, and warnings of Python, are messages too.

    Raises:
        ConfigInvalid: the setting is not allowed, or its file cannot be opened.
    """
    sink = find_sink()
    if sink is None:
        return False
    logging.basicConfig(handlers=[LineHandler(sink, process)], level=level, force=True)
    logging.captureWarnings(True)
    sys.excepthook = _log_end
    threading.excepthook = _log_thread_end
    return True


def start_log(process: str, form: str = PLAIN) -> None:
    """Have all messages of this process as JSON lines, or as text to stderr in this form.

    Raises:
        ConfigInvalid: the setting is not allowed, or its file cannot be opened.
    """
    if not start_json_log(process):
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=form, datefmt="%H:%M:%S")


def join_json_log(process: str) -> None:
    """Have messages of runs as JSON lines, if the setting says so; a process calls it often.

    Lines to stdout take the place of those for people, lines to a file come besides them.

    Raises:
        ConfigInvalid: the setting is not allowed, or its file cannot be opened.
    """
    sink, root = find_sink(), logging.getLogger()
    if sink is None or any(isinstance(item, LineHandler) for item in root.handlers):
        return
    if sink.path is None:
        for item in root.handlers:
            if isinstance(item, logging.StreamHandler):
                # Prefect looks for it by its name, so it stays.
                item.addFilter(lambda _: False)
    root.addHandler(LineHandler(sink, process))


def takes_stdout() -> bool:
    """Return whether stdout is for JSON lines.

    Raises:
        ConfigInvalid: the setting is not allowed, or its file cannot be opened.
    """
    sink = find_sink()
    return sink is not None and sink.path is None


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    LOG.critical("the process ended by an error", exc_info=(kind, error, trace))


def _log_thread_end(arguments: threading.ExceptHookArgs) -> None:
    error = arguments.exc_value
    if error is None or isinstance(error, SystemExit):
        return
    name = arguments.thread.name if arguments.thread else "unknown"
    trace = (type(error), error, arguments.exc_traceback)
    LOG.error("thread %s ended by an error", name, exc_info=trace)
