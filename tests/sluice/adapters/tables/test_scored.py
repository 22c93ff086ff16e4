"""The output of a batch prediction: each commit has its position, and no part is done twice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from sluice.adapters.tables.scored import ScoredTable
from sluice.errors import DataInvalid, DataUnavailable
from sluice.scoring.output import AnswerFormat

NOW = datetime(2026, 5, 1, 12, 0, 0, 123_456, tzinfo=UTC)
SCHEMA = pa.schema([("id", pa.int64()), *AnswerFormat(("a", "b")).columns])


def make_rows(first: int, rows: int = 3, version: int = 1) -> pa.Table:
    items = [
        {
            "id": first + place, "prediction": "a", "probabilities": [("a", 0.9), ("b", 0.1)],
            "version": version, "scored_at": NOW,
        }
        for place in range(rows)
    ]  # fmt: skip
    return pa.Table.from_pylist(items, schema=SCHEMA)


def begin(folder: Path, run: str = "run") -> ScoredTable:
    table = ScoredTable(str(folder / "out"), run)
    table.begin(SCHEMA, NOW)
    return table


def read_ids(table: ScoredTable) -> list[int]:
    from deltalake import DeltaTable

    return sorted(DeltaTable(table.uri).to_pyarrow_table()["id"].to_pylist())


def test_rows_and_their_position_are_committed_together(tmp_path: Path) -> None:
    table = begin(tmp_path)
    assert table.find_position(0) == 0
    table.append(make_rows(0), 0, 3, NOW)
    table.append(make_rows(3), 0, 6, NOW)
    again = ScoredTable(table.uri, "run")
    assert (again.find_position(0), again.find_position(1)) == (6, 0)
    assert read_ids(table) == list(range(6))
    assert table.count(1, NOW) == 6
    assert table.count(2, NOW) == 0


def test_a_run_keeps_its_start_over_its_attempts(tmp_path: Path) -> None:
    table = ScoredTable(str(tmp_path / "out"), "run")
    assert not table.exists()
    assert table.begin(SCHEMA, NOW) == NOW
    assert table.begin(SCHEMA, NOW + timedelta(hours=1)) == NOW
    other = ScoredTable(table.uri, "other")
    assert other.begin(SCHEMA, NOW + timedelta(hours=1)) == NOW + timedelta(hours=1)


def test_two_processes_at_one_part_cannot_both_commit(tmp_path: Path) -> None:
    first = begin(tmp_path)
    second = ScoredTable(first.uri, "run")
    assert first.find_position(0) == second.find_position(0) == 0
    first.append(make_rows(0), 0, 3, NOW)
    with pytest.raises(DataUnavailable, match="another process committed to the same part"):
        second.append(make_rows(0), 0, 3, NOW)
    assert read_ids(first) == [0, 1, 2]
    assert second.find_position(0) == 3


def test_processes_at_different_parts_do_not_disturb_each_other(tmp_path: Path) -> None:
    first = begin(tmp_path)
    second = ScoredTable(first.uri, "run")
    assert first.find_position(0) == second.find_position(1) == 0
    for step in range(3):
        first.append(make_rows(10 * step), 0, 3 * step + 3, NOW)
        second.append(make_rows(100 + 10 * step), 1, 3 * step + 3, NOW)
    assert len(set(read_ids(first))) == 18


def test_runs_have_positions_of_their_own(tmp_path: Path) -> None:
    first, second = begin(tmp_path), begin(tmp_path, "other")
    first.find_position(0)
    first.append(make_rows(0), 0, 3, NOW)
    assert second.find_position(0) == 0


def test_a_table_with_other_columns_is_refused_with_both(tmp_path: Path) -> None:
    table = begin(tmp_path)
    other = pa.schema([("name", pa.string()), *AnswerFormat(()).columns])
    words = r"found a table with columns id \(int64\).*writes name \(string\).*another --output"
    with pytest.raises(DataInvalid, match=words):
        ScoredTable(table.uri, "run").begin(other, NOW)


def test_a_place_that_cannot_be_written_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    table = ScoredTable(str(tmp_path / "file" / "out"), "run")
    with pytest.raises(DataUnavailable):
        table.begin(SCHEMA, NOW)
