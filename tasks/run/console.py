"""The run's log in the terminal, without Prefect's messages about its own engine."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sluice.errors import GateFailed, Refused

EXPECTED = (GateFailed, Refused)
"""Errors that say all in their message: the same call would fail again."""
ERASE = "\r\033[2K"
"""Erases a line of a terminal that is rewritten."""


class CurrentTask:
    """The task that this process runs now, and when its flow logged last."""

    name = ""
    printed = 0.0
    is_expected = False
    """Whether its flow ended on a gate's finding or a refusal."""


@contextmanager
def name_stage(name: str) -> Iterator[None]:
    """Name what the block does, for a terminal that shows how long it takes."""
    before, CurrentTask.name = CurrentTask.name, name
    try:
        yield
    finally:
        CurrentTask.name = before


CHATTER = (
    "Beginning flow run",
    "Beginning subflow run",
    "Created task run",
    "Created subflow run",
    "Encountered exception during execution",
    "Finished in state",
    "Process for flow run",
    "View at",
)
ENGINE_FAILED = "Engine execution exited with unexpected exception"


class ExpectedFailureFilter(logging.Filter):
    """Takes the traceback from the log of a gate's finding or a refusal: its message says it all.

    Infrastructure errors and errors that nobody expected keep theirs.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line says more than the failure's own message; its traceback is removed."""
        error = record.exc_info[1] if record.exc_info else None
        if record.getMessage() == ENGINE_FAILED and CurrentTask.is_expected:
            return False
        if isinstance(error, EXPECTED):
            record.exc_info = record.exc_text = None
        return True


def expect_failures() -> None:
    """Have the logs of this process's runs without tracebacks of what was expected."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        log = logging.getLogger(name)
        if not any(isinstance(one, ExpectedFailureFilter) for one in log.filters):
            log.addFilter(ExpectedFailureFilter())


def quiet_terminal() -> None:
    """Show only errors of this process's runs here; each run's page has the whole log."""
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.ERROR)


COLOURS = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m"}


class ProgressFilter(logging.Filter):
    """Keeps messages of tasks; drops messages of the engine about itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is of interest to a person."""
        message = record.getMessage()
        if getattr(record, "sluice_last_word", False):
            return False
        ended = message.startswith("Task run failed") and "will start" not in message
        if ended or message.startswith(CHATTER):
            return False
        if record.name.startswith(("prefect.flow_runs", "prefect.task_runs")):
            record.exc_info = None
            return True
        return record.levelno >= logging.WARNING


class ProgressFormatter(logging.Formatter):
    """One line a message: clock time and text; warnings and errors coloured on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        text = f"{clock}  {record.getMessage()}"
        CurrentTask.printed = time.monotonic()
        if not sys.stdout.isatty():
            return text
        colour = COLOURS.get(record.levelno)
        return ERASE + (f"{colour}{text}\033[0m" if colour else text)
