"""The run's log in the terminal, without Prefect's messages about its own engine."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

ERASE = "\r\033[2K"
"""Erases a line of a terminal that is rewritten."""


class CurrentTask:
    """The task that this process runs now, and when its flow logged last."""

    name = ""
    printed = 0.0


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
