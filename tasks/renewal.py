"""Keeping a lease alive beside the work that it covers."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sluice.adapters.control.store import Control
from sluice.control.lease import Lease
from sluice.errors import LeaseLost, SluiceError

SHARE = 3
"""A lease is renewed each third of its time, so that two renewals may fail."""
AGAIN_SECONDS = 1.0

Log = logging.Logger | logging.LoggerAdapter[Any]


class Renewal(threading.Thread):
    """Renews one lease until it is told to end, or until another run has taken the lease."""

    def __init__(self, control: Control, lease: Lease, log: Log) -> None:
        super().__init__(name=f"renewal of {lease.purpose} {lease.service}", daemon=True)
        self._control, self._lease, self._log = control, lease, log
        self._pause = lease.ttl / SHARE
        self._ended = threading.Event()

    def run(self) -> None:
        """Renew at a third of the lease's time; say each renewal that failed."""
        pause = self._pause
        while not self._ended.wait(pause):
            try:
                self.renew()
                pause = self._pause
            except LeaseLost as error:
                self._log.error("%s; this run changes nothing more", error)
                return
            except SluiceError as error:
                self._log.warning("the lease was not renewed: %s", error)
                pause = min(AGAIN_SECONDS, self._pause)

    def renew(self) -> None:
        """Renew once.

        Raises:
            LeaseLost: another run has taken the lease.
        """
        self._control.leases.renew(self._lease)

    def end(self) -> None:
        """Stop renewing; the lease is no longer touched when this returns."""
        self._ended.set()
        self.join()


@contextmanager
def keep_lease(control: Control, lease: Lease, log: Log) -> Iterator[Lease]:
    """Renew a lease for as long as the block runs, and free it at its end.

    Where freeing fails the lease lapses by itself.
    """
    renewal = Renewal(control, lease, log)
    renewal.start()
    try:
        yield lease
    finally:
        renewal.end()
        try:
            control.leases.release(lease)
        except SluiceError as error:
            log.warning("the lease lapses by itself in %.0f s: %s", lease.ttl, error)
