"""The log-writer, `sluice log-writer`: moves the spools of all replicas to the traffic log.

A batch is read behind the note `logged` of each worker run, committed table by table with the
positions in the commit, and then noted. After a kill in between the same records are read again,
and each table skips those that it has.

No other process waits for it: while it is down, the spools grow and callers notice nothing. On
SIGTERM it commits the rest first.
"""

import argparse
import faulthandler
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from serving.log.counters import Slots, read_slots
from serving.log.records import decode_record
from serving.log.spool import Position, SpoolReader, list_segments, segment_path, unpack
from serving.log.tables import Kind, Logged, build_rows, find_table
from serving.log.worker_runs import RUNS_FOLDER, WorkerRun, clear_run, list_runs, settle
from sluice.adapters.heartbeat import ProcessHeartbeat
from sluice.adapters.tables.traffic import append_records, find_positions, prune_records
from sluice.config.loading import load_gateway
from sluice.config.serving import TrafficLogConfig
from sluice.errors import Fault, LogBusy, Refused, SluiceError
from sluice.home import Home, environment_name, find_home

LOG = logging.getLogger("sluice.log_writer")
NOTE_BYTES = 64
CLEAR_SECONDS = 3600.0
"""How long the counters of a settled run stay readable for those who scrape them."""
POLL_SECONDS = 0.5
RETRY_SECONDS = 5.0
"""Pause after an error of a disk or a table."""
PRUNE_SECONDS = 600.0


class LogShipper:
    """The steps of the log-writer; only one may work on a state folder."""

    def __init__(
        self, home: Home, config: TrafficLogConfig, heartbeat: ProcessHeartbeat | None = None
    ) -> None:
        """Begin; `heartbeat` tells a supervisor of each step."""
        self._home, self._heartbeat = home, heartbeat or ProcessHeartbeat()
        self._config = config
        self._readers: dict[Path, SpoolReader] = {}
        self._batch: list[Logged] = []
        self._since = 0.0
        self._settled: set[Path] = set()

    def ship(self, now: float, all_of_it: bool = False) -> int:
        """Read new records and commit what is due; return how many were committed.

        A batch is due when it is full, when its oldest record has waited `flush_seconds`, or with
        `all_of_it`.

        Raises:
            StorageFull: a table cannot grow; nothing is lost, the same batch is tried again.
            DataUnavailable: a table cannot be reached; likewise.
        """
        committed = 0
        while True:
            self._fill(now)
            full = len(self._batch) >= self._config.batch_rows
            late = not 0 <= now - self._since < self._config.flush_seconds
            if not self._batch or not (full or late or all_of_it):
                return committed
            committed += self._commit(now)
            if not full:
                return committed

    def clear(self, now: float) -> None:
        """Remove segments that the tables have, and runs that ended an hour ago.

        Only what a snapshot covers is removed: the rest is needed to settle the run.
        """
        for replica, run in self._list_runs():
            noted, snapshot = read_note(run), run.read()
            done = snapshot.final and noted >= snapshot.position
            first = min(noted, snapshot.position).segment
            for segment in list_segments(run.folder):
                if segment < first or done:
                    segment_path(run.folder, segment).unlink(missing_ok=True)
            if done and now - run.counters.stat().st_mtime > CLEAR_SECONDS:
                self._readers.pop(run.folder, None)
                self._settled.discard(run.folder)
                clear_run(replica, run)

    def prune(self, now: float) -> int:
        """Delete the hours that are too old, or beyond the size; return how many.

        Raises:
            StorageFull: no room to compact small files; no row is lost.
            DataUnavailable: a table cannot be reached.
        """
        parents = [self._home.answers("x").parent, self._home.shadows("x").parent]
        tables = [path for parent in parents if parent.is_dir() for path in parent.iterdir()]
        days, most = self._config.retention_days, self._config.retention_bytes
        deleted = 0
        for path in [*tables, self._home.feedback]:
            self._heartbeat.beat()
            deleted += prune_records(path, now, days, most)
        return deleted

    def _list_runs(self) -> Iterator[tuple[Path, WorkerRun]]:
        if self._home.serving.is_dir():
            for replica in sorted(self._home.serving.iterdir()):
                for run in list_runs(replica):
                    yield replica, run

    def _fill(self, now: float) -> None:
        """Read until the batch is full; the runs of workers that died are settled first."""
        for replica, run in self._list_runs():
            if len(self._batch) >= self._config.batch_rows:
                return
            self._settle(run)
            reader = self._readers.get(run.folder)
            if reader is None:
                reader = self._readers[run.folder] = SpoolReader(run.folder, read_note(run))
            source = f"{replica.name}/{run.name}"
            for content in reader.read():
                if not self._batch:
                    self._since = now
                position = reader.position.pack()
                self._batch.append(Logged(decode_record(content), source, position))
                if len(self._batch) >= self._config.batch_rows:
                    return
            for damage in reader.damage:
                LOG.error("%s; what follows in this segment is not in the log", damage)
            reader.damage.clear()

    def _settle(self, run: WorkerRun) -> None:
        try:
            if run.folder not in self._settled and settle(run):
                self._settled.add(run.folder)
        except OSError as error:  # no room for its last counters; its log is read anyway
            LOG.warning("%s: not settled: %s", run.name, error)

    def _commit(self, now: float) -> int:
        groups: dict[tuple[Kind, str], list[Logged]] = {}
        for item in self._batch:
            groups.setdefault(find_table(item.record), []).append(item)
        for (kind, service), logged in groups.items():
            self._heartbeat.beat()
            self._append(kind, service, logged, now)
        ends = {item.source: item.position for item in self._batch}
        for source, position in ends.items():
            replica, run = source.split("/")
            write_note(self._home.serving / replica / RUNS_FOLDER / run, unpack(position))
        count = len(self._batch)
        self._batch = []
        return count

    def _append(self, kind: Kind, service: str, logged: list[Logged], now: float) -> None:
        uri = self._find_uri(kind, service)
        known = find_positions(uri, sorted({item.source for item in logged}))
        new = [item for item in logged if item.position > known.get(item.source, -1)]
        if new:
            ends = {item.source: item.position for item in new}
            append_records(uri, build_rows(kind, new), ends, now)

    def _find_uri(self, kind: Kind, service: str) -> Path:
        if kind is Kind.FEEDBACK:
            return self._home.feedback
        return self._home.answers(service) if kind is Kind.ANSWERS else self._home.shadows(service)


def read_note(run: WorkerRun) -> Position:
    """Return the position up to which the tables have a run's log."""
    content = read_slots(run.logged)
    return unpack(int.from_bytes(content, "big")) if content else Position()


def write_note(folder: Path, position: Position) -> None:
    """Write the position up to which the tables have a run's log."""
    slots = Slots(WorkerRun(folder).logged, NOTE_BYTES)
    try:
        slots.write(position.pack().to_bytes(8, "big"))
    finally:
        slots.close()


@contextmanager
def hold_alone(folder: Path) -> Iterator[None]:
    """Keep a second log-writer out of a state folder; a killed one leaves no lock.

    Raises:
        LogBusy: another one is at work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log-writer.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LogBusy(
                f"{folder}: a log-writer is at work (process {file.read().strip() or 'unknown'}); "
                "next: stop it first, or leave the work to it"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def write_log(
    home: Home, environment: str, stopping: Event, heartbeat: ProcessHeartbeat | None = None
) -> None:
    """Move records until `stopping` is set, then the rest; `heartbeat` tells of each step.

    Raises:
        LogBusy: another log-writer is at work.
        ConfigInvalid: the gateway's settings are wrong.
    """
    heartbeat = heartbeat or ProcessHeartbeat()
    shipper = LogShipper(home, load_gateway(environment).traffic_log, heartbeat)
    with hold_alone(home.serving.parent / "traffic"):
        LOG.info("records of %s go to the traffic log; Ctrl-C ends", home.serving)
        pruned = float("-inf")
        while not stopping.is_set():
            pause = POLL_SECONDS
            heartbeat.beat()
            try:
                shipper.ship(time.time())
                shipper.clear(time.time())
                if time.monotonic() - pruned >= PRUNE_SECONDS:
                    pruned = time.monotonic()
                    shipper.prune(time.time())
            except (Fault, Refused, OSError) as error:
                LOG.error("%s; tried again in %.0f s, the spool keeps it", error, RETRY_SECONDS)
                pause = RETRY_SECONDS
            stopping.wait(pause)
        shipper.ship(time.time(), all_of_it=True)
        shipper.clear(time.time())


def main() -> int:
    """Run until SIGTERM or SIGINT; exit code 2: bad input, 3: infrastructure error."""
    parser = argparse.ArgumentParser(prog="serving.log.log_writer")
    parser.add_argument("--heartbeat", type=int, help="descriptor of the supervisor's socket")
    arguments = parser.parse_args()
    faulthandler.enable()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        write_log(find_home(), environment_name(), stopping, ProcessHeartbeat(arguments.heartbeat))
    except SluiceError as error:
        LOG.error("%s: %s", type(error).__name__, error)
        return 2 if isinstance(error, Refused) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
