"""A worker life's counters on disk, with the place in its log that they cover."""

from pathlib import Path

import msgspec

from serving.counters import Counters
from serving.counts import Counts, Key
from serving.position import Position
from serving.slots import read_slots


class Snapshot(msgspec.Struct, frozen=True):
    """Counters of everything before a position; final once the life is over."""

    segment: int = 0
    offset: int = 0
    final: bool = False
    entries: list[tuple[Key, Counts]] = []

    @property
    def position(self) -> Position:
        """Behind the last record that is counted."""
        return Position(self.segment, self.offset)

    def restore(self) -> Counters:
        """Give the counters."""
        return Counters(dict(self.entries))


_DECODER = msgspec.msgpack.Decoder(Snapshot)
_ENCODER = msgspec.msgpack.Encoder()


def encode_snapshot(counters: Counters, position: Position, final: bool = False) -> bytes:
    """Give counters as bytes."""
    return _ENCODER.encode(Snapshot(*position, final, list(counters.counts.items())))


def read_snapshot(path: Path) -> Snapshot:
    """Give the newest snapshot of a file; an empty one where there is none."""
    content = read_slots(path)
    return _DECODER.decode(content) if content else Snapshot()
