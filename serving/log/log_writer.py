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
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from serving.log.counters import Slots
from serving.log.lag import read_note
from serving.log.records import decode_record
from serving.log.spool import Damage, Position, SpoolReader, list_segments, segment_path, unpack
from serving.log.tables import Kind, Logged, build_rows, find_table
from serving.log.worker_runs import RUNS_FOLDER, WorkerRun, clear_run, list_runs, settle
from sluice.adapters.heartbeat import ProcessHeartbeat
from sluice.adapters.storage import close_state, open_locked
from sluice.adapters.tables.retention import (
    list_tables,
    measure_tables,
    open_retention,
)
from sluice.adapters.telemetry.log_output import start_log
from sluice.adapters.traffic.log import (
    append_records,
    compact_hours,
    delete_hours,
    find_positions,
)
from sluice.config.loading import load_gateway
from sluice.config.serving import TrafficLogConfig
from sluice.data.retention import (
    Retention,
    believe_hours,
    choose_old,
    describe_ahead,
    find_due,
    wait_longer,
)
from sluice.errors import Fault, LogBusy, Refused, SluiceError
from sluice.home import Home, environment_name, find_home

LOG = logging.getLogger("sluice.log_writer")
LOST_FILE = "lost.jsonl"
"""One line for each stretch of a spool that could not be read, beside the tables."""
NOTE_BYTES = 64
CLEAR_SECONDS = 3600.0
"""How long the counters of a settled run stay readable, at least, for those who scrape them."""
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
        self._read: set[Path] = set()
        """Runs that ended and whose spools were read to the end."""
        self._done: dict[Path, float] = {}
        """Since when a run is seen to be complete in the tables."""
        self._alarmed = ""

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

    def clear(self, running: float) -> None:
        """Remove segments that the tables have, and runs that ended an hour ago.

        Only what a snapshot covers is removed: the rest is needed to settle the run. `running` is
        in seconds of a clock that nobody can set.
        """
        for replica, run in self._list_runs():
            noted, snapshot = read_note(run), run.read()
            # A last record that is damaged is in no table: then all that can be read is.
            done = snapshot.final and (noted >= snapshot.position or self._is_logged(replica, run))
            first = min(noted, snapshot.position).segment
            for segment in list_segments(run.folder):
                if segment < first or done:
                    segment_path(run.folder, segment).unlink(missing_ok=True)
            if not done:
                continue
            if running - self._done.setdefault(run.folder, running) > CLEAR_SECONDS:
                self._done.pop(run.folder)
                self._readers.pop(run.folder, None)
                self._settled.discard(run.folder)
                self._read.discard(run.folder)
                clear_run(replica, run)

    def prune(self, now: float, ran: float) -> int:
        """Delete the hours that have waited for a day; return how many.

        An hour that is too old, or beyond the size, begins to wait here. `ran` is how long this
        process has run since the last call, in seconds of a clock that nobody can set.

        Raises:
            StorageFull: no room for a commit, or to compact small files; no row is lost.
            DataUnavailable: a table, or the state of retention, cannot be reached.
        """
        days, most = self._config.retention_days, self._config.retention_bytes
        with open_retention(self._home) as file:
            sizes = measure_tables(self._home)
            self._heartbeat.beat()
            believed = believe_hours(
                file.state, {hour for item in sizes.values() for hour in item}, days
            )
            self._warn(believed)
            old = {
                name: choose_old(item, believed.newest, days, most) for name, item in sizes.items()
            }
            state = wait_longer(believed, old, ran)
            file.write(state)
            tables = list_tables(self._home)
            due = {name: find_due(state, name) for name in state.waiting}
            for name, hours in due.items():
                self._heartbeat.beat()
                delete_hours(tables[name], hours)
        for path in tables.values():
            self._heartbeat.beat()
            compact_hours(path, now)
        return sum(map(len, due.values()))

    def _warn(self, found: Retention) -> None:
        """Alarm once for each kind of record that is too far after all others."""
        if found.ahead and found.ahead != self._alarmed:
            LOG.error("%s", describe_ahead(found))
        self._alarmed = found.ahead

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
            if run.folder in self._read:
                continue
            self._settle(run)
            ended = run.folder in self._settled
            reader = self._readers.get(run.folder)
            if reader is None:
                reader = self._readers[run.folder] = SpoolReader(run.folder, read_note(run))
            source = f"{replica.name}/{run.name}"
            for content in reader.read(ended):
                if not self._batch:
                    self._since = now
                position = reader.position.pack()
                self._batch.append(Logged(decode_record(content), source, position))
                self._note_damage(source, reader)
                if len(self._batch) >= self._config.batch_rows:
                    return
            self._note_damage(source, reader)
            if ended:
                self._read.add(run.folder)

    def _note_damage(self, source: str, reader: SpoolReader) -> None:
        """Name what is lost, before a record behind it goes into the tables."""
        for damage in reader.damage:
            LOG.error("%s; the log continues behind it", damage.describe())
            note_lost(self._home, source, damage)
        reader.damage.clear()

    def _is_logged(self, replica: Path, run: WorkerRun) -> bool:
        source = f"{replica.name}/{run.name}"
        return run.folder in self._read and all(item.source != source for item in self._batch)

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


def note_lost(home: Home, source: str, damage: Damage) -> None:
    """Append what is lost to a file of the traffic log, once also where it is read again."""
    path = home.feedback.with_name(LOST_FILE)
    entry = {
        "source": source,
        "segment": damage.path.name,
        "offset": damage.offset,
        "bytes": damage.size,
        "records": damage.records,
        "request_ids": list(damage.request_ids),
    }
    line = json.dumps(entry) + "\n"
    with open_locked(path) as file:
        file.seek(0)
        if line not in file:
            file.write(line)


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
        began = time.monotonic()
        pruned, due = began, began
        while not stopping.is_set():
            pause = POLL_SECONDS
            heartbeat.beat()
            try:
                shipper.ship(time.time())
                shipper.clear(time.monotonic())
                if (turn := time.monotonic()) >= due:
                    due = turn + PRUNE_SECONDS
                    shipper.prune(time.time(), turn - pruned)
                    pruned = turn
            except (Fault, Refused, OSError) as error:
                LOG.error("%s; tried again in %.0f s, the spool keeps it", error, RETRY_SECONDS)
                pause = RETRY_SECONDS
            stopping.wait(pause)
        shipper.ship(time.time(), all_of_it=True)
        shipper.clear(time.monotonic())


def main() -> int:
    """Run until SIGTERM or SIGINT; exit code 2: bad input, 3: infrastructure error."""
    parser = argparse.ArgumentParser(prog="serving.log.log_writer")
    parser.add_argument("--heartbeat", type=int, help="descriptor of the supervisor's socket")
    arguments = parser.parse_args()
    faulthandler.enable()
    close_state(find_home().root)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        start_log("log-writer")
        write_log(find_home(), environment_name(), stopping, ProcessHeartbeat(arguments.heartbeat))
    except SluiceError as error:
        LOG.error("%s: %s", type(error).__name__, error)
        return 2 if isinstance(error, Refused) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
