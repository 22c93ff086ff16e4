"""Worker runs of a replica: a folder each, with its lock, log and counters.

Whoever finds the folder of a worker that died settles it: the last snapshot, and the log from
there, are all that the worker ever counted. The kernel frees the lock of a process that is gone.
"""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from serving.log.counters import (
    ArmCounts,
    Counters,
    Key,
    Slots,
    Snapshot,
    encode_snapshot,
    read_slots,
    read_snapshot,
)
from serving.log.records import decode_record
from serving.log.spool import Position, SpoolReader, list_segments, segment_path, spare_path

LIVES = "lives"


@dataclass(frozen=True)
class WorkerRun:
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


def begin_run(replica: Path, worker: str, started: str) -> tuple[WorkerRun, int]:
    """Make the folder of a worker that starts; the descriptor is its lock, open until it ends.

    Raises:
        FileExistsError: the worker has a life of this stamp already.
    """
    life = WorkerRun(replica / LIVES / f"{worker}@{started}")
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


def list_runs(replica: Path) -> list[WorkerRun]:
    """Give the lives of a replica, running and ended, by name."""
    folder = replica / LIVES
    if not folder.is_dir():
        return []
    return [WorkerRun(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]


def settle(life: WorkerRun) -> Snapshot | None:
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


def _finish(life: WorkerRun, last: Snapshot) -> Snapshot:
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


PAST = "past"
REMEMBERED = 256


class ClearedRuns(msgspec.Struct, frozen=True):
    """What lives counted whose folders are gone, or about to go."""

    lives: list[str] = []
    """The last of them: their folders, or what somebody read of them, may still be there."""
    entries: list[tuple[Key, ArmCounts]] = []


def read_cleared(replica: Path) -> ClearedRuns:
    """Give the sum of the lives that were cleared away."""
    content = read_slots(replica / PAST)
    return msgspec.msgpack.decode(content, type=ClearedRuns) if content else ClearedRuns()


def read_runs(replica: Path) -> dict[WorkerRun, Snapshot]:
    """Give each life's newest snapshot."""
    return {life: life.read() for life in list_runs(replica)}


def sum_counters(replica: Path) -> Counters:
    """Give everything that the replica ever counted; it only grows."""
    snapshots = read_runs(replica)
    past = read_cleared(replica)  # after the lives: one that was cleared away meanwhile stands here
    total = Counters(dict(past.entries))
    for life, snapshot in snapshots.items():
        if life.name not in past.lives:
            total.merge(snapshot.restore())
    return total


def export_runs(replica: Path) -> list[dict[str, Any]]:
    """Give each life's counters as plain values, for a controller that scrapes them."""
    return [
        {
            "life": life.name,
            "started": life.started,
            "final": snapshot.final,
            "counters": snapshot.restore().export(),
        }
        for life, snapshot in read_runs(replica).items()
    ]


def clear_run(replica: Path, life: WorkerRun) -> None:
    """Add a settled life to the past, and remove its folder; a kill in between changes no sum.

    Raises:
        ValueError: the life is not settled.
        OSError: the sum cannot be written; nothing has changed.
    """
    snapshot = life.read()
    past = read_cleared(replica)
    if life.name not in past.lives:
        if not snapshot.final:
            raise ValueError(f"{life.name}: is not settled")
        total = Counters(dict(past.entries))
        total.merge(snapshot.restore())
        slots = Slots(replica / PAST)
        try:
            entries = list(total.counts.items())
            slots.write(
                msgspec.msgpack.encode(ClearedRuns([*past.lives, life.name][-REMEMBERED:], entries))
            )
        finally:
            slots.close()
    shutil.rmtree(life.folder, ignore_errors=True)
