"""How far the traffic log is behind a replica's spools: the age of the oldest record it lacks."""

from math import inf
from pathlib import Path

from serving.log.counters import read_slots
from serving.log.records import decode_record
from serving.log.spool import Position, SpoolReader, unpack
from serving.log.worker_runs import WorkerRun, list_runs


def read_note(run: WorkerRun) -> Position:
    """Return the position up to which the tables have a run's log."""
    content = read_slots(run.logged)
    return unpack(int.from_bytes(content, "big")) if content else Position()


def measure_lag(replica: Path, now: float) -> float:
    """Return the seconds since the oldest record that the log lacks, 0 where it lacks none.

    `now` is in seconds since 1970. One record of each worker run is read.
    """
    oldest = min((_find_oldest(run) for run in list_runs(replica)), default=inf)
    return max(now - oldest, 0.0) if oldest < inf else 0.0


def _find_oldest(run: WorkerRun) -> float:
    """Return when the first record behind the note was answered; infinite where there is none."""
    try:
        content = next(SpoolReader(run.folder, read_note(run)).read(), None)
    except OSError:  # the log-writer removed the segment meanwhile
        return inf
    return decode_record(content).at if content is not None else inf
