"""A worker's life: one folder with its lock, its log and its counters.

Whoever finds the folder of a worker that died settles it: the last snapshot, and the log from
there, are all that the worker ever counted. The kernel frees the lock of a process that is gone.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from serving.counters import Counters
from serving.position import Position, list_segments, segment_path, spare_path
from serving.record import decode_record
from serving.slots import Slots
from serving.snapshot import Snapshot, encode_snapshot, read_snapshot
from serving.spool_reader import SpoolReader

LIVES = "lives"


@dataclass(frozen=True)
class Life:
    """One life's files; `folder` is named by the worker and its start stamp."""

    folder: Path

    @property
    def name(self) -> str:
        """Worker and start stamp; unique in its replica."""
        return self.folder.name

    @property
    def started(self) -> str:
        """The start stamp: another one means that the worker began anew at 0."""
        return self.name.rpartition("@")[2]

    @property
    def counters(self) -> Path:
        """The file of snapshots."""
        return self.folder / "counters"

    @property
    def lock(self) -> Path:
        """The file that a living worker holds."""
        return self.folder / "lock"

    @property
    def logged(self) -> Path:
        """The log-writer's note of how far it came."""
        return self.folder / "logged"

    def read(self) -> Snapshot:
        """Give the newest snapshot."""
        return read_snapshot(self.counters)


def begin_life(replica: Path, worker: str, started: str) -> tuple[Life, int]:
    """Make the folder of a worker that starts; the descriptor is its lock, open until it ends.

    Raises:
        FileExistsError: the worker has a life of this stamp already.
    """
    life = Life(replica / LIVES / f"{worker}@{started}")
    if life.folder.exists():
        raise FileExistsError(f"{life.folder}: the worker had a life of this stamp already")
    life.folder.parent.mkdir(parents=True, exist_ok=True)
    draft = life.folder.with_name(f".{life.name}")
    draft.mkdir()
    descriptor = os.open(draft / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # Others see the folder only with its lock held: none can take the worker for a dead one.
    draft.rename(life.folder)
    return life, descriptor


def list_lives(replica: Path) -> list[Life]:
    """Give the lives of a replica, running and ended, by name."""
    folder = replica / LIVES
    if not folder.is_dir():
        return []
    return [Life(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]


def settle(life: Life) -> Snapshot | None:
    """Finish the counters of a worker that is gone; None while it lives, or another settles it.

    Settling twice gives the same.

    Raises:
        OSError: the counters cannot be written; they stay as they were.
    """
    descriptor = os.open(life.lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = life.read()
        return found if found.final else _finish(life, found)
    except BlockingIOError:
        return None
    finally:
        os.close(descriptor)


def _finish(life: Life, last: Snapshot) -> Snapshot:
    counters, position = replay(life.folder, last)
    _free_rest(life.folder, position)  # first: once it is final, the log-writer may remove all
    slots = Slots(life.counters)
    try:
        slots.write(encode_snapshot(counters, position, final=True))
    finally:
        slots.close()
    return life.read()


def replay(folder: Path, last: Snapshot) -> tuple[Counters, Position]:
    """Count the records of a log behind a snapshot; what is not whole was never answered."""
    counters, reader = last.restore(), SpoolReader(folder, last.position)
    for content in reader.read():
        counters.apply(decode_record(content))
    return counters, reader.position


def _free_rest(folder: Path, position: Position) -> None:
    """Cut a torn end, and give back the space that was reserved."""
    for segment in list_segments(folder):
        if segment == position.segment:
            os.truncate(segment_path(folder, segment), position.offset)
    spare_path(folder, position.segment + 1).unlink(missing_ok=True)
