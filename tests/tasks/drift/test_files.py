"""Rows of files, read part by part: the sample does not depend on how they are divided."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.tables.columns import Span
from sluice.adapters.tables.row_parts import plan_rows
from sluice.errors import DataInvalid
from support.drift import make_profile
from tasks.drift import files
from tasks.drift.files import FileJob, FilePart, plan_file, read_here
from tasks.drift.references import Reference

ROWS = 1_003
RECORD = ModelVersionRef("things", 3, "run", {}, "models:/things/3")
TABLE = pa.table({"at": range(ROWS), "city": ["Bonn", "Lyon", "Turin"] * 334 + ["Bonn"]})
PROFILE = make_profile({"at": list(range(100)), "city": ["Bonn", "Lyon"] * 50})


@pytest.fixture(autouse=True)
def profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "load_profile", lambda service, record: PROFILE)
    monkeypatch.setattr(files, "MOST_ROWS", 100)


def open_parts(path: Path, most: int, span: Span | None = None) -> FileJob:
    parts = tuple(FilePart(RECORD, part) for part in plan_rows(path, span, most, 1))
    assert len(parts) == most
    return FileJob(path, parts, 3, ("at", "city"))


@pytest.mark.parametrize("parts", [1, 3, 11, 48])
@pytest.mark.parametrize("span", [None, Span("at", 57, 988)])
def test_every_nth_row_is_sampled_however_many_parts_there_are(
    tmp_path: Path, parts: int, span: Span | None
) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE, path, row_group_size=7)
    found = read_here(open_parts(path, parts, span))
    first, last = (57, 988) if span else (0, ROWS)
    step = -(-(last - first) // 100)
    expected = TABLE.slice(first, last - first).take(list(range(0, last - first, step)))
    assert found.counts.rows == last - first
    assert found.sample is not None
    assert found.sample.to_pydict() == expected.to_pydict()
    assert list(found.places) == list(range(0, last - first, step))


def test_files_with_other_columns_are_sampled_with_nulls(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    pq.write_table(TABLE.drop_columns("city"), tmp_path / "b.parquet")
    found = read_here(open_parts(tmp_path, 2))
    assert found.sample is not None
    assert found.sample["city"].null_count == found.sample.num_rows // 2


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_a_column_in_several_types_is_not_sampled(tmp_path: Path, parts: int) -> None:
    texts = TABLE.set_column(0, "at", pa.array([f"row {number}" for number in range(ROWS)]))
    for name, table in (("a", TABLE), ("b", texts), ("c", TABLE)):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    found = read_here(open_parts(tmp_path, parts))
    assert found.sample is not None
    assert found.sample.column_names == ["city"]
    assert found.sample.num_rows == len(found.places)


def test_without_a_classifier_nothing_is_sampled(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "rows.parquet")
    config: Any = None
    job = plan_file(Reference(RECORD, PROFILE, config), tmp_path / "rows.parquet", None, False)
    assert read_here(job).sample is None


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.zip"])
def test_a_text_or_packed_file_is_refused(tmp_path: Path, name: str) -> None:
    config: Any = None
    found = name.removeprefix("rows")
    with pytest.raises(DataInvalid, match=f"found a {found} file; allowed: a Parquet file"):
        plan_file(Reference(RECORD, PROFILE, config), tmp_path / name, None, True)
