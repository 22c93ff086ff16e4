"""What a batch prediction does: its input in parts, its key, and how its rows are written."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

PART_ROWS = 250_000
"""Rows from which a part is complete; a part is scored by one process."""
COMMIT_ROWS = 50_000
"""Rows that a commit to the output has at least, unless its part ends before."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
BadRows = Literal["refuse", "set-aside"]
KEEP_ALL, KEEP_ID = "all", "id"


@dataclass(frozen=True)
class InputPart:
    """Whole row groups of one file: `groups` from the first to the one behind the last.

    `index` is the part's place in the input, `first` the number of its first row in the file,
    from 0.
    """

    index: int
    file: str
    groups: tuple[int, int]
    first: int
    rows: int


@dataclass(frozen=True)
class BatchInput:
    """An input to score, which does not change: one version of a table, or files.

    `mark` identifies its rows: the table's id and version, or the hash of the files' contents.
    """

    kind: Literal["parquet", "delta"]
    uri: str
    mark: str
    columns: tuple[str, ...]
    parts: tuple[InputPart, ...]
    version: int = -1

    @property
    def rows(self) -> int:
        """The number of its rows."""
        return sum(part.rows for part in self.parts)


def plan_parts(
    files: Sequence[tuple[str, Sequence[int]]], least: int = PART_ROWS
) -> tuple[InputPart, ...]:
    """Divide files, each with the rows of its row groups, into parts of about `least` rows.

    The parts depend on the files alone, so that a later attempt finds the same ones, whatever the
    number of processes.
    """
    parts: list[InputPart] = []
    for file, sizes in files:
        start, first, rows = 0, 0, 0
        for group, size in enumerate(sizes, 1):
            rows += size
            if rows and (rows >= least or group == len(sizes)):
                parts.append(InputPart(len(parts), file, (start, group), first, rows))
                start, first, rows = group, first + rows, 0
    return tuple(parts)


def choose_kept(keep: str, id_column: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the input's columns that the output keeps: the id, all, or those that are named.

    `keep` is `id`, `all`, or names with commas between them.
    """
    if keep == KEEP_ALL:
        return tuple(columns)
    named = [id_column] if keep == KEEP_ID else [name.strip() for name in keep.split(",")]
    return tuple(dict.fromkeys(filter(None, named)))


def name_run(service: str, version: int, run_id: str, mark: str) -> str:
    """Return the key of a batch prediction: the same rows by the same model are scored once.

    `run_id` is the registry's run of the model version.
    """
    facts = json.dumps([service, version, run_id, mark])
    return f"sluice-score-{hashlib.sha256(facts.encode()).hexdigest()[:32]}"


def count_microseconds(moment: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def read_microseconds(count: int) -> datetime:
    """Return the time of microseconds since 1970."""
    return EPOCH + count * MICROSECOND
