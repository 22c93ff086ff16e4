"""A foreign Delta table is identified by id and version, and read at the version that was found."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from sluice.adapters.sources.delta import find_table, is_table, read_table
from sluice.errors import DataInvalid


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    for start in (0, 5):
        rows = pa.table({"key": list(range(start, start + 5))})
        write_deltalake(str(tmp_path / "lake"), rows, mode="append")
    return tmp_path / "lake"


def test_the_version_that_was_found_is_the_one_that_is_read(lake: Path) -> None:
    seen = find_table(str(lake))
    write_deltalake(str(lake), pa.table({"key": [99]}), mode="append")
    assert (seen.version, read_table(str(lake), seen.version).num_rows) == (1, 10)
    assert find_table(str(lake)).mark != seen.mark


def test_a_pinned_version_stays(lake: Path) -> None:
    pinned = find_table(str(lake), 0)
    assert read_table(str(lake), pinned.version).num_rows == 5


def test_a_table_that_was_created_again_has_another_mark(lake: Path) -> None:
    before = find_table(str(lake), 0)
    shutil.rmtree(lake)
    write_deltalake(str(lake), pa.table({"key": [1]}))
    assert find_table(str(lake), 0).mark != before.mark


def test_no_table_and_no_version_are_named(lake: Path, tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="nowhere"):
        find_table(str(tmp_path / "nowhere"))
    with pytest.raises(DataInvalid, match=r"lake: .*9"):
        find_table(str(lake), 9)


def test_a_table_differs_from_a_folder(lake: Path, tmp_path: Path) -> None:
    assert is_table(str(lake))
    assert is_table("s3://bucket/lake")
    assert not is_table(str(tmp_path))


@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping"])
def test_a_table_with_a_feature_that_cannot_be_read_is_refused_at_once(
    lake: Path, feature: str
) -> None:
    first = lake / "_delta_log" / f"{0:020}.json"
    rows = [json.loads(line) for line in first.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        if "protocol" in row:
            row["protocol"] = {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": [feature],
                "writerFeatures": [feature],
            }
    first.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for read in (lambda: find_table(str(lake)), lambda: read_table(str(lake), 1)):
        with pytest.raises(DataInvalid, match=f"found a table with {feature}.*; next: "):
            read()
