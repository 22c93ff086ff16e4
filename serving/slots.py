"""A file of two slots that are written in turn: a reader always finds one that is whole."""

import os
from pathlib import Path
from struct import Struct
from zlib import crc32

HEADER = Struct("<QII")
CAPACITY = 1 << 18
PATIENCE = 20
"""Readings until a file that never holds a whole slot counts as empty."""


class Slots:
    """The writer's side; space for both slots is reserved, so that a full disk changes nothing."""

    def __init__(self, path: Path, capacity: int = CAPACITY) -> None:
        self._path = path
        self._turn = 0
        if path.exists():
            self._descriptor = os.open(path, os.O_RDWR)
            self._capacity = os.fstat(self._descriptor).st_size // 2
            self._turn = max((turn for turn, _ in _read_both(self._descriptor)), default=0)
        else:
            self._descriptor, self._capacity = _reserve(path, capacity), capacity

    def write(self, content: bytes) -> None:
        """Put a content in the place of the older one.

        Raises:
            OSError: it needs a larger file, and there is no room; the last content stays.
        """
        turn = self._turn + 1
        record = _build(turn, content)
        if len(record) > self._capacity:
            self._grow(len(record))
        os.pwrite(self._descriptor, record, turn % 2 * self._capacity)
        self._turn = turn  # only now: after a failure the newest slot must not be written over

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _grow(self, size: int) -> None:
        draft = self._path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        descriptor = _reserve(draft, 2 * size)
        last = _choose(_read_both(self._descriptor))
        if last:
            turn, content = last
            record = _build(turn, content)
            os.pwrite(descriptor, record, turn % 2 * 2 * size)
        draft.rename(self._path)
        os.close(self._descriptor)
        self._descriptor, self._capacity = descriptor, 2 * size


def read_slots(path: Path) -> bytes | None:
    """Give the newest whole content; None where there is none."""
    for _ in range(PATIENCE):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            found = _choose(_read_both(descriptor))
            empty = not any(os.pread(descriptor, HEADER.size, 0))
        finally:
            os.close(descriptor)
        if found:
            return found[1]
        if empty:
            return None
    return None


def _build(turn: int, content: bytes) -> bytes:
    return HEADER.pack(turn, len(content), _check(turn, content)) + content


def _check(turn: int, content: bytes) -> int:
    # With the turn: what is left of an older content must not pass for a new one.
    return crc32(content, crc32(turn.to_bytes(8, "little")))


def _reserve(path: Path, capacity: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, 2 * capacity)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor


def _read_both(descriptor: int) -> list[tuple[int, bytes]]:
    capacity = os.fstat(descriptor).st_size // 2
    found = []
    for start in (0, capacity) if capacity >= HEADER.size else ():
        turn, length, checksum = HEADER.unpack(os.pread(descriptor, HEADER.size, start))
        content = os.pread(descriptor, min(length, capacity), start + HEADER.size)
        if turn and len(content) == length and _check(turn, content) == checksum:
            found.append((turn, content))
    return found


def _choose(found: list[tuple[int, bytes]]) -> tuple[int, bytes] | None:
    return max(found, key=lambda item: item[0], default=None)
