"""From the spools of all replicas to the traffic log: each record once, whenever who is killed.

A batch is read behind the note `logged` of each life, committed table by table with the positions
in the commit, and then noted. Killed in between, the same records are read again, and each table
passes over those that it has.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from serving.life import Life, list_lives, settle
from serving.position import Position, list_segments, segment_path, unpack
from serving.record import decode_record
from serving.replica import clear_life
from serving.rows import Kind, Logged, build_rows, find_table
from serving.slots import Slots, read_slots
from serving.spool_reader import SpoolReader
from sluice.adapters.tables.traffic import append_records, find_positions, prune_records
from sluice.config.serving import TrafficLogConfig
from sluice.home import Home

LOG = logging.getLogger("sluice.log_writer")
NOTE_BYTES = 64
CLEAR_SECONDS = 3600.0
"""How long a settled life stays readable for those who scrape counters."""


class LogShipper:
    """What the log-writer does, one step at a time; it must be alone."""

    def __init__(self, home: Home, config: TrafficLogConfig) -> None:
        self._home = home
        self._config = config
        self._readers: dict[Path, SpoolReader] = {}
        self._batch: list[Logged] = []
        self._since = 0.0
        self._settled: set[Path] = set()

    def ship(self, now: float, all_of_it: bool = False) -> int:
        """Read what is new; commit it once it is enough, or old enough. Gives the records.

        Raises:
            StorageFull: a table cannot grow; nothing is lost, the same is tried again.
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
        """Remove segments that the tables have, and lives that ended an hour ago.

        Only what a snapshot covers goes: the rest is still needed to settle a life.
        """
        for replica, life in self._list_lives():
            noted, snapshot = read_note(life), life.read()
            done = snapshot.final and noted >= snapshot.position
            first = min(noted, snapshot.position).segment
            for segment in list_segments(life.folder):
                if segment < first or done:
                    segment_path(life.folder, segment).unlink(missing_ok=True)
            if done and now - life.counters.stat().st_mtime > CLEAR_SECONDS:
                self._readers.pop(life.folder, None)
                self._settled.discard(life.folder)
                clear_life(replica, life)

    def prune(self, now: float) -> int:
        """Delete the hours that are too old, or beyond the size; gives how many.

        Raises:
            StorageFull: no room to put small files together; no row is lost.
            DataUnavailable: a table cannot be reached.
        """
        parents = [self._home.answers("x").parent, self._home.shadows("x").parent]
        tables = [path for parent in parents if parent.is_dir() for path in parent.iterdir()]
        days, most = self._config.retention_days, self._config.retention_bytes
        return sum(prune_records(path, now, days, most) for path in [*tables, self._home.feedback])

    def _list_lives(self) -> Iterator[tuple[Path, Life]]:
        if self._home.serving.is_dir():
            for replica in sorted(self._home.serving.iterdir()):
                for life in list_lives(replica):
                    yield replica, life

    def _fill(self, now: float) -> None:
        """Read on until the batch is full; whoever died meanwhile is settled first."""
        for replica, life in self._list_lives():
            if len(self._batch) >= self._config.batch_rows:
                return
            self._settle(life)
            reader = self._readers.get(life.folder)
            if reader is None:
                reader = self._readers[life.folder] = SpoolReader(life.folder, read_note(life))
            source = f"{replica.name}/{life.name}"
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

    def _settle(self, life: Life) -> None:
        try:
            if life.folder not in self._settled and settle(life):
                self._settled.add(life.folder)
        except OSError as error:  # no room for its last counters; its log is read all the same
            LOG.warning("%s: not settled: %s", life.name, error)

    def _commit(self, now: float) -> int:
        groups: dict[tuple[Kind, str], list[Logged]] = {}
        for item in self._batch:
            groups.setdefault(find_table(item.record), []).append(item)
        for (kind, service), logged in groups.items():
            self._append(kind, service, logged, now)
        ends = {item.source: item.position for item in self._batch}
        for source, position in ends.items():
            write_note(self._home.serving / source.replace("/", "/lives/"), unpack(position))
        count = len(self._batch)
        self._batch = []
        return count

    def _append(self, kind: Kind, service: str, logged: list[Logged], now: float) -> None:
        uri = self._find_uri(kind, service)
        has = find_positions(uri, sorted({item.source for item in logged}))
        new = [item for item in logged if item.position > has.get(item.source, -1)]
        if new:
            ends = {item.source: item.position for item in new}
            append_records(uri, build_rows(kind, new), ends, now)

    def _find_uri(self, kind: Kind, service: str) -> Path:
        if kind is Kind.FEEDBACK:
            return self._home.feedback
        return self._home.answers(service) if kind is Kind.ANSWERS else self._home.shadows(service)


def read_note(life: Life) -> Position:
    """Give how far the tables are known to have a life's log."""
    content = read_slots(life.logged)
    return unpack(int.from_bytes(content, "big")) if content else Position()


def write_note(folder: Path, position: Position) -> None:
    """Note how far the tables have a life's log."""
    slots = Slots(Life(folder).logged, NOTE_BYTES)
    try:
        slots.write(position.pack().to_bytes(8, "big"))
    finally:
        slots.close()
