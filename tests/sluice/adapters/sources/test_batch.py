"""Inputs to score: Parquet files and Delta tables, part by part."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyarrow import parquet

from sluice.adapters.sources.batch import check_same, find_batch_input, list_schemas, read_part
from sluice.errors import DataInvalid, DataUnavailable

ROWS = pa.table({"id": list(range(100)), "x": [value / 2 for value in range(100)]})


def write_files(folder: Path, *sizes: int, group: int = 10) -> Path:
    folder.mkdir()
    first = 0
    for number, size in enumerate(sizes):
        rows = ROWS.slice(first, size)
        parquet.write_table(rows, folder / f"part-{number}.parquet", row_group_size=group)
        first += size
    return folder


def read_all(source: str | Path, columns: tuple[str, ...] = ("id",), done: int = 0) -> list[Any]:
    found = find_batch_input(str(source))
    tables = [table for part in found.parts for table in read_part(found, part, columns, done)]
    return [row for table in tables for row in table.to_pylist()]


def test_a_folder_is_read_by_name_in_order(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", 30, 45)
    found = find_batch_input(str(folder))
    assert (found.kind, found.rows, found.columns) == ("parquet", 75, ("id", "x"))
    assert [row["id"] for row in read_all(folder)] == list(range(75))


def test_reading_continues_behind_the_rows_that_are_done(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", 40)
    for done in (0, 1, 10, 39, 40):
        assert [row["id"] for row in read_all(folder, done=done)] == list(range(done, 40))


def test_a_delta_table_is_read_at_the_version_that_was_found(tmp_path: Path) -> None:
    table = str(tmp_path / "table")
    write_deltalake(table, ROWS.slice(0, 30))
    write_deltalake(table, ROWS.slice(30, 20), mode="append")
    found = find_batch_input(table)
    write_deltalake(table, ROWS.slice(50, 50), mode="append")
    rows = [
        row["id"]
        for part in found.parts
        for batch in read_part(found, part, ("id",))
        for row in batch.to_pylist()
    ]
    assert (found.kind, found.rows, sorted(rows)) == ("delta", 50, list(range(50)))
    check_same(found)
    assert find_batch_input(table).mark != found.mark


def test_a_partitioned_delta_table_has_its_partition_column(tmp_path: Path) -> None:
    table = str(tmp_path / "table")
    rows = pa.table({"id": [1, 2, 3], "town": ["a", "b", "a"]})
    write_deltalake(table, rows, partition_by=["town"])
    found = sorted((row["id"], row["town"]) for row in read_all(table, ("id", "town")))
    assert found == [(1, "a"), (2, "b"), (3, "a")]


def test_the_mark_follows_the_content_and_not_the_place(tmp_path: Path) -> None:
    first, second = write_files(tmp_path / "a", 30), write_files(tmp_path / "b", 30)
    other = write_files(tmp_path / "c", 31)
    marks = [find_batch_input(str(folder)).mark for folder in (first, second, other)]
    assert marks[0] == marks[1] != marks[2]


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", 30)
    found = find_batch_input(str(folder))
    check_same(found)
    parquet.write_table(ROWS, folder / "part-1.parquet")
    with pytest.raises(DataUnavailable, match="changed while it was read"):
        check_same(found)


def test_each_file_has_its_own_schema(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", 30)
    parquet.write_table(pa.table({"id": ["a"]}), folder / "part-1.parquet")
    schemas = {
        Path(file).name: schema for file, schema in list_schemas(find_batch_input(str(folder)))
    }
    assert str(schemas["part-1.parquet"].field("id").type) == "string"
    assert schemas["part-0.parquet"].names == ["id", "x"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.csv", b"id\n1\n", "found '.csv', allowed: a Parquet file"),
        ("rows.parquet", b"id\n1\n", "not readable as Parquet"),
        ("rows.parquet", b"PAR1PAR1PAR1", "not readable as Parquet"),
        ("rows.parquet", b"", "the file is empty"),
    ],
)
def test_what_is_no_parquet_file_is_refused(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataInvalid, match=words):
        find_batch_input(str(tmp_path / name))


def test_what_is_not_there_or_has_no_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="no such file"):
        find_batch_input(str(tmp_path / "none.parquet"))
    with pytest.raises(DataInvalid, match="a folder without Parquet files"):
        find_batch_input(str(tmp_path))
    with pytest.raises(DataInvalid, match="found a relative path"):
        find_batch_input("rows.parquet")
    parquet.write_table(ROWS.slice(0, 0), tmp_path / "empty.parquet")
    with pytest.raises(DataInvalid, match="no rows, only column names"):
        find_batch_input(str(tmp_path / "empty.parquet"))


def test_files_in_deeper_folders_are_not_left_out_in_silence(tmp_path: Path) -> None:
    write_files(tmp_path / "in", 30)
    write_files(tmp_path / "in" / "day=2", 30)
    with pytest.raises(DataInvalid, match=r"such as day=2/part-0\.parquet; allowed: Parquet files"):
        find_batch_input(str(tmp_path / "in"))
