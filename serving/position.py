"""Where something stands in a worker life's log, and the files that hold it."""

from pathlib import Path
from typing import NamedTuple

OFFSET_BITS = 32


class Position(NamedTuple):
    """A segment's number and an offset in it; later is larger."""

    segment: int = 0
    offset: int = 0

    def pack(self) -> int:
        """Give the position as one number of the same order."""
        return self.segment << OFFSET_BITS | self.offset


def unpack(number: int) -> Position:
    """Give the position that was packed."""
    return Position(number >> OFFSET_BITS, number & (1 << OFFSET_BITS) - 1)


def segment_path(folder: Path, segment: int) -> Path:
    """Give the file of a segment that was or is written."""
    return folder / f"{segment:08d}.spool"


def spare_path(folder: Path, segment: int) -> Path:
    """Give the file of a segment whose space is reserved and not used yet."""
    return folder / f"{segment:08d}.spare"


def list_segments(folder: Path) -> list[int]:
    """Number the segments that are there, oldest first."""
    return sorted(int(path.stem) for path in folder.glob("*.spool"))
