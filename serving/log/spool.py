"""The spool: a worker run's append-only log on disk, written in checksummed frames.

A disk that becomes full cannot tear the current segment, since its space is reserved. The next
segment is reserved while the current one is written; where that fails, the spool is `low` and
writes on to the end of the current segment.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from serving.log.records import BEFORE_TAG, RECORD_TAG, name_record
from sluice.errors import SpoolFull

OFFSET_BITS = 32
HEADER = Struct("<II")
SIZE = HEADER.size
CHUNK = 1 << 20
"""Bytes of one read."""
OVERLAP = 512
"""Bytes read beyond a chunk, so that the beginning of a record is seen whole."""


class Position(NamedTuple):
    """A segment's number and an offset in it; later is larger."""

    segment: int = 0
    offset: int = 0

    def pack(self) -> int:
        """Return the position as one number of the same order."""
        return self.segment << OFFSET_BITS | self.offset


def unpack(number: int) -> Position:
    """Return the position that was packed."""
    return Position(number >> OFFSET_BITS, number & (1 << OFFSET_BITS) - 1)


def segment_path(folder: Path, segment: int) -> Path:
    """Return the file of a segment that has been written to."""
    return folder / f"{segment:08d}.spool"


def spare_path(folder: Path, segment: int) -> Path:
    """Return the file of a segment whose space is reserved and not used yet."""
    return folder / f"{segment:08d}.spare"


def list_segments(folder: Path) -> list[int]:
    """Return the numbers of the segments in a folder, oldest first."""
    return sorted(int(path.stem) for path in folder.glob("*.spool"))


def build_frame(content: bytes) -> bytes:
    """Return a content, which is not empty, behind its header."""
    return HEADER.pack(len(content), crc32(content)) + content


def iterate_frames(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield each whole content and the offset behind it, up to the first frame that is not whole.

    Reserved space that was not written is zeros: a length of 0 is the end.
    """
    end = len(data)
    while start + SIZE <= end:
        length, checksum = HEADER.unpack_from(data, start)
        stop = start + SIZE + length
        if not length or stop > end:
            return
        content = data[start + SIZE : stop]
        if crc32(content) != checksum:
            return
        yield content, stop
        start = stop


class Spool:
    """The writer of a worker run's append-only log; used from one thread."""

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
        self._has_next = self._is_low = self._is_full = False
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
        """Whether the last try to reserve the next segment failed."""
        return self._is_low

    @property
    def is_full(self) -> bool:
        """Whether the last frame found no room, and none came back since."""
        return self._is_full

    def reserve_next(self) -> bool:
        """Reserve the next segment if it is not yet; return False where the disk is full."""
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
            self._is_low = True
            return False
        self._has_next, self._is_low, self._is_full = True, False, False
        return True

    def promise(self, size: int) -> None:
        """Reserve space for one more frame of the next `write`.

        Raises:
            SpoolFull: neither this segment nor the next one has room.
        """
        if self._planned + size <= self._size:
            self._planned += size
            return
        if size > self._size or self._crosses:
            raise SpoolFull(f"{self._folder}: {size} bytes more than a segment takes in one write")
        self._require_next()
        self._planned, self._crosses = size, True

    def write(self, frames: list[bytes]) -> None:
        """Append the frames that were promised, with one system call a segment.

        Raises:
            OSError: the disk failed; how much of the frames is in the file is unknown.
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
        """Close the file, and free the space that was never used."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, self._used)
            os.close(self._descriptor)
            self._descriptor = -1
        spare_path(self._folder, self._segment + 1).unlink(missing_ok=True)

    def _require_next(self) -> None:
        if not self.reserve_next():
            self._is_full = True
            raise SpoolFull(
                f"{self._folder}: no room for a segment of {self._size} bytes; "
                "next: free space on the disk"
            )

    def _append(self, data: bytes) -> None:
        done = 0
        while done < len(data):  # more than once only after a signal interrupted the write
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


class Damage(NamedTuple):
    """A stretch of a segment that has no whole record."""

    path: Path
    offset: int
    size: int
    records: int
    """Records that began in it, at least one."""
    request_ids: tuple[str, ...]
    """Those of their request ids that can be read."""

    def describe(self) -> str:
        """Return file, place and size, and what was lost."""
        names = f": request ids {', '.join(self.request_ids)}" if self.request_ids else ""
        count = f"{self.records} record{'s' if self.records > 1 else ''}"
        return (
            f"{self.path}: no whole record in {self.size} bytes at offset {self.offset}; "
            f"at least {count} lost{names}"
        )


class SpoolReader:
    """Reads the whole frames behind a position; a frame that is not whole yet is read later.

    Where bytes were changed on the disk, reading continues at the next whole frame.
    """

    def __init__(self, folder: Path, position: Position) -> None:
        self._folder = folder
        self.position = position
        """Where the last content that was read ends."""
        self.damage: list[Damage] = []
        """What is no frame and will not become one."""
        self._suspect: Position | None = None

    def read(self, ended: bool = False) -> Iterator[bytes]:
        """Yield each content up to the last frame that is whole now.

        `ended`: nobody writes to the spool any more, so what is no frame now is damage.
        """
        # Listed before anything is read: a segment that has a successor is finished.
        segments = [item for item in list_segments(self._folder) if item >= self.position.segment]
        for index, segment in enumerate(segments):
            if segment > self.position.segment:
                self.position = Position(segment, 0)
            yield from self._read_segment(segment, ended or index < len(segments) - 1)

    def _read_segment(self, segment: int, finished: bool) -> Iterator[bytes]:
        descriptor = os.open(segment_path(self._folder, segment), os.O_RDONLY)
        try:
            while True:
                offset = self.position.offset
                for content, stop in iterate_frames(self._load(descriptor, offset)):
                    self.position = Position(segment, offset + stop)
                    yield content
                if self.position.offset == offset and not self._skip(descriptor, finished):
                    return
        finally:
            os.close(descriptor)

    def _load(self, descriptor: int, offset: int) -> bytes:
        data = os.pread(descriptor, CHUNK, offset)
        if len(data) == CHUNK:
            size = min(SIZE + HEADER.unpack_from(data)[0], _measure(descriptor) - offset)
            if size > CHUNK:  # a frame that is larger than a chunk
                return os.pread(descriptor, size, offset)
        return data

    def _skip(self, descriptor: int, finished: bool) -> bool:
        """Move to the next whole frame of the segment; return False where there is none.

        In a segment that is being written, what is no frame is damage only if it is none at a
        second look either, and a whole frame follows.
        """
        segment, offset = self.position
        if not finished and not any(os.pread(descriptor, SIZE, offset)):
            return False
        found, lost = find_frame(descriptor, offset)
        if found is None and not finished:
            return False
        if not finished and self._suspect != self.position:
            self._suspect = self.position
            return False
        end = found if found is not None else _find_end(descriptor, offset)
        if end > offset:
            path, names = segment_path(self._folder, segment), tuple(filter(None, lost))
            self.damage.append(Damage(path, offset, end - offset, max(len(lost), 1), names))
        if found is None:
            return False
        self.position = Position(segment, found)
        return True


def find_frame(descriptor: int, start: int) -> tuple[int | None, list[str]]:
    """Return where the first whole frame behind `start` begins, and the records lost before it.

    Of each lost record whose beginning is left, its request id is listed, or an empty text.
    """
    size = _measure(descriptor)
    lost: list[str] = []
    for offset in range(start, size, CHUNK):
        data = os.pread(descriptor, CHUNK + OVERLAP, offset)
        for match in RECORD_TAG.finditer(data):
            if match.start() >= CHUNK:
                break
            content = offset + match.start() - SIZE
            for frame in (content - length for length in BEFORE_TAG):
                if frame > start and _is_whole(descriptor, frame, size):
                    return frame, lost
            if content - min(BEFORE_TAG) >= start:
                lost.append(name_record(data, match))
    return None, lost


def _is_whole(descriptor: int, frame: int, size: int) -> bool:
    length, checksum = HEADER.unpack(os.pread(descriptor, SIZE, frame))
    if not 0 < length <= size - frame - SIZE:
        return False
    return bool(crc32(os.pread(descriptor, length, frame + SIZE)) == checksum)


def _find_end(descriptor: int, start: int) -> int:
    """Return where the bytes that are not zero end."""
    end = start
    for offset in range(start, _measure(descriptor), CHUNK):
        if used := len(os.pread(descriptor, CHUNK, offset).rstrip(b"\0")):
            end = offset + used
    return end


def _measure(descriptor: int) -> int:
    return os.fstat(descriptor).st_size
