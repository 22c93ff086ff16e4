"""Heartbeats: a process says that it moves, and another one notices when it stops saying so.

They go over a socket, not a file: nothing is left behind, and a full disk does not stop them. A
process that hangs sends none, and neither does one that was stopped.
"""

import socket
from contextlib import suppress

BEAT_SECONDS = 0.5
"""How often a process that waits for nothing else should beat."""
STARTS, READY, WORKS = b"s", b"r", b"w"
"""What a heartbeat says: the process starts, waits for its orders, or works."""
LONGEST_GAP = 1.0
"""Most of a reader's own pause that counts: when the machine slept, nobody stood still."""


class ProcessHeartbeat:
    """Tells those who watch that this process moves; without one it tells nobody."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Begin with the descriptor that a supervisor passed, if any."""
        self._watchers: list[socket.socket] = []
        self._last = STARTS
        if descriptor is not None:
            self.add(socket.socket(fileno=descriptor))

    def add(self, watcher: socket.socket) -> None:
        """Tell another watcher, too, from now on."""
        watcher.setblocking(False)
        self._watchers.append(watcher)
        self.beat(self._last == WORKS)

    def beat(self, works: bool = True) -> None:
        """Say that the process moves, and whether it works or only starts; never waits."""
        self._last = WORKS if works else STARTS
        for watcher in list(self._watchers):
            try:
                watcher.send(self._last)
            except BlockingIOError:
                continue  # the watcher has enough to read
            except OSError:  # the watcher has ended
                self._watchers.remove(watcher)
                watcher.close()

    def close(self) -> None:
        """Tell nobody any more."""
        for watcher in self._watchers:
            watcher.close()
        self._watchers = []


class Watch:
    """The other end: how long a process has not moved, in seconds in which its watcher ran."""

    def __init__(self, source: socket.socket, now: float) -> None:
        """Begin at `now`, in monotonic seconds."""
        source.setblocking(False)
        self._source = source
        self._read_at = now
        self.still_seconds = 0.0
        self.worked_seconds = 0.0
        """How long it has worked, or waited for its orders."""
        self.has_moved = self.is_ready = self.works = self.is_closed = False

    def read(self, now: float) -> None:
        """Read the heartbeats that came since the last call."""
        gap = max(0.0, min(now - self._read_at, LONGEST_GAP))
        self._read_at = now
        if beats := self._take():
            self.has_moved, self.still_seconds = True, 0.0
            self.works, self.is_ready = beats.endswith(WORKS), beats.endswith(READY)
        else:
            self.still_seconds += gap
        self.worked_seconds += gap if self.works or self.is_ready else 0.0

    def order(self, message: bytes) -> None:
        """Send a process what it shall do when it is ready for orders; its work begins now.

        Raises:
            OSError: it has ended, or takes no message.
        """
        self._source.sendall(message)
        self.worked_seconds, self.is_ready = 0.0, False

    def close(self) -> None:
        """Close the socket."""
        self._source.close()

    def _take(self) -> bytes:
        found = b""
        with suppress(BlockingIOError):
            while not self.is_closed:
                try:
                    part = self._source.recv(4096)
                except ConnectionError:
                    part = b""
                self.is_closed = not part
                found += part
        return found
