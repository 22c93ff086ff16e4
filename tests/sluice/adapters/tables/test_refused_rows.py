"""Refused rows are kept as they were found, once, and can be ingested after they are repaired."""

import json
from pathlib import Path

import pytest
from pyarrow import parquet

from sluice.adapters.tables.files import read_batch, read_rows
from sluice.adapters.tables.refused_rows import keep_refused_rows
from sluice.config.reading import ReadingConfig
from sluice.errors import DataUnavailable
from support.releases.runs import small_config

HEADER = "key;size;name;flag;seen;label\n"
CONFIG = small_config("size").model_copy(
    update={"reading": ReadingConfig(delimiter=";", encoding="cp1252", decimal=",")}
)
TEXT = HEADER + '1;1,5;K\u00f6ln;true;2024-05-01;0\n2;2,5;"a;b";;soon;1\n3;;;;;0\n'


def test_a_repaired_file_of_refused_rows_is_read_by_the_service(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        TEXT.replace("K\u00f6ln;true;2024-05-01", "K\u00f6ln;true;later").encode("cp1252")
    )
    found = read_rows(path, CONFIG)
    assert [cell.place for cell in found.refused] == ["line 2", "line 3"]
    assert found.table["key"].to_pylist() == [3]
    kept = keep_refused_rows(tmp_path / "refused", found, ";", str(path))
    record = json.loads(kept.with_suffix(".json").read_text(encoding="utf-8"))
    assert record["source"] == str(path)
    assert record["refused"][0] == {
        "place": "line 2",
        "column": "seen",
        "found": "'later'",
        "allowed": "a time such as 2024-05-01 12:00:00, in UTC where it has no zone",
    }
    text = kept.read_text(encoding="utf-8-sig").replace("later", "2024-05-01")
    kept.write_text(text.replace("soon", "2024-05-02"), encoding="utf-8-sig")
    rows = read_batch(kept, CONFIG)
    assert rows["name"].to_pylist() == ["K\u00f6ln", "a;b"]
    assert rows["size"].to_pylist() == [1.5, 2.5]
    assert rows["flag"].to_pylist() == [True, None]


def test_the_same_rows_are_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.encode("cp1252"))
    found = read_rows(path, CONFIG)
    names = {keep_refused_rows(tmp_path / "kept", found, ";", str(path)) for _ in range(2)}
    assert len(names) == 1
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_rows_of_stored_types_are_kept_as_parquet(tmp_path: Path) -> None:
    import pyarrow as pa

    table = pa.table(
        {
            "key": [1, 2], "size": [1.5, 2.5], "name": ["a", "b"], "flag": [True, False],
            "seen": ["2024-05-01", "soon"], "label": [0, 1],
        }
    )  # fmt: skip
    parquet.write_table(table, tmp_path / "a.parquet")
    found = read_rows(tmp_path / "a.parquet", CONFIG)
    assert found.refused[0].place == "row 2"
    kept = keep_refused_rows(tmp_path / "kept", found, ";", "a.parquet")
    assert parquet.read_table(kept).equals(table.slice(1))


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.encode("cp1252"))
    with pytest.raises(DataUnavailable, match="refused rows"):
        keep_refused_rows(path / "kept", read_rows(path, CONFIG), ";", str(path))
    assert list(tmp_path.iterdir()) == [path]
