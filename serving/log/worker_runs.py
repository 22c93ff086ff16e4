"""Worker runs of a replica: one folder each, with its lock, spool and counters.

A run begins when a worker process starts and ends with the process. The run of a worker that died
is settled by the supervisor or the log-writer: its last snapshot, and the spool from there, are all
that the worker ever counted. The kernel frees the lock of a process that has ended.
"""

import fcntl
import logging
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

LOG = logging.getLogger("sluice.gateway")
RUNS_FOLDER, CLEARED_FILE = "lives", "past"
REMEMBERED = 256
"""Cleared runs whose names are kept."""


@dataclass(frozen=True)
class WorkerRun:
    """One run's files; `folder` is named by the worker and its start stamp."""

    folder: Path

    @property
    def name(self) -> str:
        """The worker and its start stamp; unique in its replica."""
        return self.folder.name

    @property
    def started(self) -> str:
        """The start stamp: a new one means that the counters began again at 0."""
        return self.name.rpartition("@")[2]

    @property
    def counters(self) -> Path:
        """The file of snapshots."""
        return self.folder / "counters"

    @property
    def lock(self) -> Path:
        """The file that a running worker locks."""
        return self.folder / "lock"

    @property
    def logged(self) -> Path:
        """The log-writer's note of the position that the tables have."""
        return self.folder / "logged"

    def read(self) -> Snapshot:
        """Return the newest snapshot."""
        return read_snapshot(self.counters)


def begin_run(replica: Path, worker: str, started: str) -> tuple[WorkerRun, int]:
    """Create the folder of a worker that starts; the descriptor is its lock, held until it ends.

    Raises:
        FileExistsError: the worker has a run with this stamp already.
    """
    run = WorkerRun(replica / RUNS_FOLDER / f"{worker}@{started}")
    if run.folder.exists():
        raise FileExistsError(f"{run.folder}: the worker had a run with this stamp already")
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    draft = run.folder.with_name(f".{run.name}")
    draft.mkdir()
    descriptor = os.open(draft / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # Others see the folder only with its lock held: no process takes the worker for a dead one.
    draft.rename(run.folder)
    return run, descriptor


def list_runs(replica: Path) -> list[WorkerRun]:
    """Return the runs of a replica, current and ended, by name."""
    folder = replica / RUNS_FOLDER
    if not folder.is_dir():
        return []
    return [WorkerRun(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]


def settle(run: WorkerRun) -> Snapshot | None:
    """Finish the counters of a worker that died; None while it runs, or another settles it.

    Settling twice returns the same.

    Raises:
        OSError: the counters cannot be written; they stay as they were.
    """
    descriptor = os.open(run.lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = run.read()
        return found if found.final else _finish(run, found)
    except BlockingIOError:
        return None
    finally:
        os.close(descriptor)


def _finish(run: WorkerRun, last: Snapshot) -> Snapshot:
    counters, position = replay(run.folder, last)
    _free_rest(run.folder, position)  # first: once it is final, the log-writer may remove all
    slots = Slots(run.counters)
    try:
        slots.write(encode_snapshot(counters, position, final=True))
    finally:
        slots.close()
    return run.read()


def replay(folder: Path, last: Snapshot) -> tuple[Counters, Position]:
    """Count the records of a spool behind a snapshot, in the spool of a worker that ended.

    What is no whole record at the end was torn by a kill, and has no answer; or it is damaged.
    """
    counters, reader = last.restore(), SpoolReader(folder, last.position)
    for content in reader.read(ended=True):
        counters.apply(decode_record(content))
    for damage in reader.damage:
        LOG.warning("%s (a record that a kill tore was never answered)", damage.describe())
    return counters, reader.position


def _free_rest(folder: Path, position: Position) -> None:
    """Cut off a torn end, and free the reserved space."""
    for segment in list_segments(folder):
        if segment == position.segment:
            os.truncate(segment_path(folder, segment), position.offset)
    spare_path(folder, position.segment + 1).unlink(missing_ok=True)


class ClearedRuns(msgspec.Struct, frozen=True):
    """The counts of all runs whose folders were removed, or are being removed."""

    runs: list[str] = msgspec.field(default_factory=list, name="lives")
    """The last of them: their folders may still be there, or have been read a moment ago."""
    entries: list[tuple[Key, ArmCounts]] = []


def read_cleared(replica: Path) -> ClearedRuns:
    """Return the sum of the runs that were cleared."""
    content = read_slots(replica / CLEARED_FILE)
    return msgspec.msgpack.decode(content, type=ClearedRuns) if content else ClearedRuns()


def read_runs(replica: Path) -> dict[WorkerRun, Snapshot]:
    """Return each run's newest snapshot."""
    return {run: run.read() for run in list_runs(replica)}


def sum_counters(replica: Path) -> Counters:
    """Return everything that the replica ever counted; it never decreases."""
    snapshots = read_runs(replica)
    cleared = read_cleared(replica)  # after the runs: it has one that was cleared meanwhile
    total = Counters(dict(cleared.entries))
    for run, snapshot in snapshots.items():
        if run.name not in cleared.runs:
            total.merge(snapshot.restore())
    return total


def export_runs(replica: Path) -> list[dict[str, Any]]:
    """Return each run's counters as plain values, for a controller that scrapes them."""
    return [
        {
            "run": run.name,
            "started": run.started,
            "final": snapshot.final,
            "counters": snapshot.restore().export(),
        }
        for run, snapshot in read_runs(replica).items()
    ]


def clear_run(replica: Path, run: WorkerRun) -> None:
    """Add a settled run to the cleared ones, and remove its folder; a kill changes no sum.

    Raises:
        ValueError: the run is not settled.
        OSError: the sum cannot be written; nothing has changed.
    """
    snapshot = run.read()
    cleared = read_cleared(replica)
    if run.name not in cleared.runs:
        if not snapshot.final:
            raise ValueError(f"{run.name}: is not settled")
        total = Counters(dict(cleared.entries))
        total.merge(snapshot.restore())
        names = [*cleared.runs, run.name][-REMEMBERED:]
        slots = Slots(replica / CLEARED_FILE)
        try:
            entries = list(total.counts.items())
            slots.write(msgspec.msgpack.encode(ClearedRuns(names, entries)))
        finally:
            slots.close()
    shutil.rmtree(run.folder, ignore_errors=True)
