"""The output of a batch prediction as a Delta table; each commit has its part's position.

A commit and the position that it reaches are one: after a kill, a part continues behind the last
row that is in the table. Two processes at work on one part cannot both commit.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sluice.adapters.storage import explain_os_error
from sluice.errors import DataInvalid, DataUnavailable
from sluice.scoring.output import SCORED_AT, VERSION
from sluice.scoring.plan import count_microseconds, read_microseconds

START = "start"


class ScoredTable:
    """One table that batch predictions append to; `run` is the key of this one."""

    def __init__(self, uri: str, run: str) -> None:
        self.uri, self.run = uri, run
        self._opened: Any = None

    def begin(self, schema: pa.Schema, now: datetime) -> datetime:
        """Create the table if it is missing, and mark the run's start; return when it started.

        A run that began before keeps its start.

        Raises:
            DataInvalid: the table has other columns than the schema.
            StorageFull: the disk is full.
            DataUnavailable: the table cannot be reached.
        """
        with _translate_errors(self.uri):
            if not self.exists():
                self._create(schema)
            self._check_columns(schema)
            started = self._find(START)
            if started is None:
                self._commit(schema.empty_table(), START, count_microseconds(now), now)
                return read_microseconds(count_microseconds(now))
        return read_microseconds(started)

    def exists(self) -> bool:
        """Whether there is such a table.

        Raises:
            DataUnavailable: its place cannot be reached.
        """
        from deltalake import DeltaTable

        with _translate_errors(self.uri):
            return bool(DeltaTable.is_deltatable(self.uri))

    def find_position(self, part: int) -> int:
        """Return how many rows of a part of the input were processed; 0: it was not begun.

        Raises:
            DataUnavailable: the table cannot be reached.
        """
        with _translate_errors(self.uri):
            self._opened = None
            return self._find(str(part)) or 0

    def append(self, rows: pa.Table, part: int, position: int, now: datetime) -> None:
        """Append rows and the position of their part in one commit, whole or not at all.

        It fails where another process moved the part's position since it was read here.

        Raises:
            StorageFull: the disk is full; the table does not change.
            DataUnavailable: the table cannot be reached, or another process is at work on the part.
        """
        with _translate_errors(self.uri):
            self._commit(rows, str(part), position, now)

    def count(self, version: int, scored_at: datetime) -> int:
        """Return the number of rows that this run has in the table.

        Raises:
            DataUnavailable: the table cannot be reached.
        """
        with _translate_errors(self.uri):
            self._opened = None
            own = (pc.field(VERSION) == version) & (
                pc.field(SCORED_AT) == pa.scalar(scored_at, pa.timestamp("us", tz="UTC"))
            )
            return int(self._open().to_pyarrow_dataset().count_rows(filter=own))

    def _open(self) -> Any:
        from deltalake import DeltaTable

        if self._opened is None:
            self._opened = DeltaTable(self.uri)
        return self._opened

    def _find(self, part: str) -> int | None:
        found = self._open().transaction_version(f"{self.run}/{part}")
        return None if found is None else int(found)

    def _create(self, schema: pa.Schema) -> None:
        from deltalake import DeltaTable

        DeltaTable.create(self.uri, schema=schema, mode="ignore")
        self._opened = None

    def _commit(self, rows: pa.Table, part: str, position: int, now: datetime) -> None:
        # The position was read from this very state of the table: a commit of the same part by
        # another process since then is a conflict, one of another part is not.
        from deltalake import CommitProperties, Transaction, write_deltalake

        mark = Transaction(
            f"{self.run}/{part}", position, last_updated=count_microseconds(now) // 1000
        )
        write_deltalake(
            self._open(),
            rows,
            mode="append",
            commit_properties=CommitProperties(app_transactions=[mark]),
        )

    def _check_columns(self, schema: pa.Schema) -> None:
        found = pa.schema(self._open().schema().to_arrow())
        there = [(field.name, _simplify(field.type)) for field in found]
        ours = [(field.name, _simplify(field.type)) for field in schema]
        if there == ours:
            return
        names = _list_columns(there), _list_columns(ours)
        raise DataInvalid(
            f"{self.uri}: found a table with columns {names[0]}; this batch prediction writes "
            f"{names[1]}; allowed: a table with these columns, or none; next: another --output, or "
            "keep the same columns as before (`--keep`)"
        )


def _simplify(found: Any) -> str:
    """Return a type as text, without what Delta does not keep apart."""
    text = str(pa.field("x", found).type)
    for word in ("large_", " not null", "_view"):
        text = text.replace(word, "")
    return text.replace("key_value", "entries")


def _list_columns(columns: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in columns)


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    """Translate errors of the file system and of Delta into our errors."""
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        yield
    except CommitFailedError as error:
        raise DataUnavailable(
            f"table {uri}: another process committed to the same part: "
            f"{str(error).splitlines()[0][:200]}"
        ) from error
    except (OSError, DeltaError) as error:
        raise explain_os_error(error, f"table {uri}") from error
