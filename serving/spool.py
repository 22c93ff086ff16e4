"""The spool that a worker writes: segments of a fixed size, reserved on the disk beforehand.

A disk that fills up cannot tear a segment that is in use, since its space is its own. The next
segment is reserved while the present one is written; where that fails, the spool is `low`, and
goes on to the present segment's end.
"""

import os
from contextlib import suppress
from pathlib import Path

from serving.position import Position, segment_path, spare_path
from sluice.errors import SpoolFull


class Spool:
    """One worker life's append-only log; used from one thread."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        """Reserve the first segment, and the next one if there is room.

        Raises:
            SpoolFull: there is no room for the first.
        """
        self._folder = folder
        self._size = segment_bytes
        self._descriptor = -1
        self._segment = -1
        self._used = segment_bytes
        self._has_next = self._refused = False
        self._require_next()
        self._open_next()
        self._planned, self._crosses = 0, False
        self.reserve_next()

    @property
    def position(self) -> Position:
        """Where the next write goes."""
        return Position(self._segment, self._used)

    @property
    def is_low(self) -> bool:
        """Whether the disk had no room for the next segment when it was asked last."""
        return self._refused

    def reserve_next(self) -> bool:
        """Reserve the next segment's space if it is not yet; False where there is no room."""
        if self._has_next:
            return True
        spare = spare_path(self._folder, self._segment + 1)
        draft = spare.with_suffix(".draft")
        try:
            descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size)
            finally:
                os.close(descriptor)
            draft.rename(spare)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            self._refused = True
            return False
        self._has_next, self._refused = True, False
        return True

    def promise(self, size: int) -> None:
        """Set space aside for one more frame of the next `write`.

        Raises:
            SpoolFull: neither this segment nor a next one has the room.
        """
        if self._planned + size <= self._size:
            self._planned += size
            return
        if size > self._size or self._crosses:
            raise SpoolFull(f"{self._folder}: {size} bytes more than a segment takes in one turn")
        self._require_next()
        self._planned, self._crosses = size, True

    def write(self, frames: list[bytes]) -> None:
        """Append the frames that were promised; the system is called once a segment.

        Raises:
            OSError: the disk failed; how much of the frames is in the file is not known.
        """
        batch: list[bytes] = []
        room = self._size - self._used
        for item in frames:
            if len(item) > room:
                self._append(b"".join(batch))
                self._open_next()
                batch, room = [], self._size
            batch.append(item)
            room -= len(item)
        self._append(b"".join(batch))
        self._planned, self._crosses = self._used, False

    def close(self) -> None:
        """Let go of the file, and of the space that was never used."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, self._used)
            os.close(self._descriptor)
            self._descriptor = -1
        spare_path(self._folder, self._segment + 1).unlink(missing_ok=True)

    def _require_next(self) -> None:
        if not self.reserve_next():
            raise SpoolFull(
                f"{self._folder}: no room for a segment of {self._size} bytes; "
                "next: free space on the disk"
            )

    def _append(self, data: bytes) -> None:
        done = 0
        while done < len(data):  # once, but for a write that a signal cut short
            done += os.pwrite(self._descriptor, data[done:] if done else data, self._used + done)
        self._used += len(data)

    def _open_next(self) -> None:
        path = segment_path(self._folder, self._segment + 1)
        spare_path(self._folder, self._segment + 1).rename(path)
        descriptor = os.open(path, os.O_RDWR)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._segment, self._used = descriptor, self._segment + 1, 0
        self._has_next = False
