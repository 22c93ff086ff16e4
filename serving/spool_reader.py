"""Reading a worker life's log, from any position, while it may still be written."""

import os
from collections.abc import Iterator
from pathlib import Path

from serving.frame import HEADER, SIZE, iterate_frames
from serving.position import Position, list_segments, segment_path

CHUNK = 1 << 20


class SpoolReader:
    """Goes through the whole frames behind a position; one that is not whole yet comes later."""

    def __init__(self, folder: Path, position: Position) -> None:
        self._folder = folder
        self.position = position
        """Behind the last content that was given."""
        self.damage: list[str] = []
        """What a finished segment held that is no frame, by file and offset."""

    def read(self) -> Iterator[bytes]:
        """Give each content up to the end of what is whole now."""
        # Listed before anything is read: a segment that has a successor is written no more.
        segments = [item for item in list_segments(self._folder) if item >= self.position.segment]
        for index, segment in enumerate(segments):
            if segment > self.position.segment:
                self.position = Position(segment, 0)
            yield from self._read_segment(segment)
            if index < len(segments) - 1:
                self._note_damage(segment)

    def _read_segment(self, segment: int) -> Iterator[bytes]:
        descriptor = os.open(segment_path(self._folder, segment), os.O_RDONLY)
        try:
            while True:
                offset = self.position.offset
                for content, stop in iterate_frames(self._load(descriptor, offset)):
                    self.position = Position(segment, offset + stop)
                    yield content
                if self.position.offset == offset:
                    return
        finally:
            os.close(descriptor)

    def _load(self, descriptor: int, offset: int) -> bytes:
        data = os.pread(descriptor, CHUNK, offset)
        if len(data) == CHUNK:
            length, _ = HEADER.unpack_from(data)
            if SIZE + length > CHUNK:  # one frame that is larger than a chunk
                return os.pread(descriptor, SIZE + length, offset)
        return data

    def _note_damage(self, segment: int) -> None:
        path = segment_path(self._folder, segment)
        with path.open("rb") as file:
            file.seek(self.position.offset)
            if any(file.read(SIZE)):
                self.damage.append(f"{path}: no whole record at offset {self.position.offset}")
