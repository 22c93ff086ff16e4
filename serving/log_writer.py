"""The log-writer, `sluice log-writer`: a process of its own that moves spools to the traffic log.

It stands alone: while it is away, the spools grow and callers notice nothing. A signal to end it
commits what is there first.
"""

import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from serving.log_shipping import LogShipper
from sluice.config.gateway import load_gateway
from sluice.errors import Fault, LogBusy, Refused, SluiceError
from sluice.home import Home, find_home

LOG = logging.getLogger("sluice.log_writer")
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 5.0
"""Pause after a disk or table that refused."""
PRUNE_SECONDS = 600.0


@contextmanager
def hold_alone(folder: Path) -> Iterator[None]:
    """Keep a second log-writer out of a home; the kernel frees the lock of one that died.

    Raises:
        LogBusy: there is one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log-writer.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LogBusy(
                f"{folder}: a log-writer is at work (process {file.read().strip() or 'unknown'}); "
                "next: end it first, or leave it to that one"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def write_log(home: Home, environment: str, stopping: Event) -> None:
    """Move records until somebody says stop, then the rest.

    Raises:
        LogBusy: another log-writer is at work.
        ConfigInvalid: the gateway's settings are wrong.
    """
    shipper = LogShipper(home, load_gateway(environment).traffic_log)
    with hold_alone(home.serving.parent / "traffic"):
        LOG.info("records of %s go to the traffic log; Ctrl-C ends", home.serving)
        pruned = float("-inf")
        while not stopping.is_set():
            pause = POLL_SECONDS
            try:
                shipper.ship(time.time())
                shipper.clear(time.time())
                if time.monotonic() - pruned >= PRUNE_SECONDS:
                    pruned = time.monotonic()
                    shipper.prune(time.time())
            except (Fault, Refused, OSError) as error:
                LOG.error("%s; tried again in %.0f s, the spool keeps it", error, PATIENCE_SECONDS)
                pause = PATIENCE_SECONDS
            stopping.wait(pause)
        shipper.ship(time.time(), all_of_it=True)
        shipper.clear(time.time())


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit code is 2 for what was refused, 3 for a fault."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        write_log(find_home(), os.environ.get("SLUICE_ENV") or "development", stopping)
    except SluiceError as error:
        LOG.error("%s: %s", type(error).__name__, error)
        return 2 if isinstance(error, Refused) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
