"""Rows of files and Delta tables, one column of one row group at a time."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from sluice.adapters.tables.columns import Span, open_delta, open_rows
from sluice.errors import DataInvalid, DataMissing
from support.drift import draw_normal, make_profile

TABLE = pa.table(
    {
        "height": draw_normal(1, 1000),
        "city": ["Bonn", "Lyon", None, "Turin"] * 250,
        "at": pa.array(range(1000)),
    }
)
PROFILE = make_profile({"height": draw_normal(2, 600), "city": ["Bonn", "Lyon"] * 300})


def write_parts(path: Path) -> Path:
    pq.write_table(TABLE, path, row_group_size=128)
    return path


def test_a_file_counts_as_the_table_in_memory_does(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "rows.parquet")
    found = PROFILE.count_rows(open_rows(path))
    assert found.to_dict() == PROFILE.count_part(TABLE).to_dict()


def test_strings_are_read_as_dictionaries(tmp_path: Path) -> None:
    part = next(open_rows(write_parts(tmp_path / "rows.parquet")))
    assert pa.types.is_dictionary(part.read("city").type)


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_parts(tmp_path / f"{name}.parquet")
    assert PROFILE.count_rows(open_rows(tmp_path)).rows == 2000


def test_a_delta_table_is_read_in_one_version(tmp_path: Path) -> None:
    uri = tmp_path / "table"
    for _ in range(2):
        write_deltalake(str(uri), TABLE, mode="append", partition_by=["city"])
    assert PROFILE.count_rows(open_delta(uri, version=0)).rows == 1000
    found = PROFILE.count_rows(open_rows(uri)).columns["city"]
    assert (found.cells.tolist(), found.nulls) == ([500, 500, 500], 500)


def test_only_rows_of_the_span_count(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "rows.parquet")
    parts = list(open_rows(path, Span("at", 100, 300)))
    assert [one.count for one in parts] == [28, 128, 44]
    found = PROFILE.count_rows(open_rows(path, Span("at", 100, 300)))
    assert found.to_dict() == PROFILE.count_part(TABLE.slice(100, 200)).to_dict()


def test_a_span_of_moments(tmp_path: Path) -> None:
    moments = pa.array([datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 11)])
    pq.write_table(pa.table({"at": moments}), tmp_path / "rows.parquet")
    span = Span("at", datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC))
    assert [one.count for one in open_rows(tmp_path / "rows.parquet", span)] == [2]


@pytest.mark.parametrize(
    ("span", "words"),
    [(Span("when", 1, 2), "no column 'when'"), (Span("at", "a", "b"), "cannot be compared")],
)
def test_an_impossible_span_is_refused(tmp_path: Path, span: Span, words: str) -> None:
    path = write_parts(tmp_path / "rows.parquet")
    with pytest.raises(DataInvalid, match=words):
        list(open_rows(path, span))


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "absent", tmp_path / "empty"):
        with pytest.raises(DataMissing, match=path.name):
            list(open_rows(path))
    with pytest.raises(DataMissing, match="no Delta table"):
        list(open_delta(tmp_path / "empty"))


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_text("height,city\n1,Bonn\n")
    with pytest.raises(DataInvalid, match="not readable as Parquet"):
        list(open_rows(path))
