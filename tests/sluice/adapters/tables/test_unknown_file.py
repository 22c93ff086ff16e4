"""A file without a known schema is read with guessed kinds, or refused with advice."""

from pathlib import Path

import pytest
from pyarrow import parquet

from sluice.adapters.tables.files import read_batch, read_unknown
from sluice.config.data import DataConfig
from sluice.config.loading import load_service
from sluice.errors import DataInvalid
from sluice.home import SAMPLES

TEXT = "key,size,name,flag\n1,1.5,a,true\n2,,b,false\n3,2,,true\n"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_the_survey_has_the_kinds_of_its_service() -> None:
    found = read_unknown(SAMPLES / "acs_employment_2015.parquet")
    kinds = {column.name: column.kind for column in found.columns}
    assert kinds == load_service("employment", "development").data.columns


def test_guessed_kinds_are_those_that_ingest_reads(tmp_path: Path) -> None:
    found = read_unknown(write(tmp_path / "a.csv", TEXT))
    kinds = {column.name: column.kind for column in found.columns}
    assert kinds == {"key": "integer", "size": "number", "name": "text", "flag": "boolean"}
    config = DataConfig(id="key", target="flag", columns=kinds, features=("size",), suite="none")
    assert read_batch(found.path, config).equals(found.table)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("size,,key\n0,1,2\n", "column 2 has no name"),
        ("size,size\n0,1\n", "column 'size' is given 2 times"),
        ("key,size\n", "no rows, only column names"),
        ("key,size\n1,2,3\n", "line 2: found 3 cells, allowed: 2"),
    ],
)
def test_a_broken_table_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataInvalid, match=words):
        read_unknown(write(tmp_path / "a.csv", text))


def test_a_missing_file_and_a_damaged_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="no such file"):
        read_unknown(tmp_path / "gone.csv")
    with pytest.raises(DataInvalid, match="not readable as parquet"):
        read_unknown(write(tmp_path / "a.parquet", "no parquet"))


def test_a_column_of_lists_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa

    parquet.write_table(pa.table({"a": [[1], [2]]}), tmp_path / "a.parquet")
    with pytest.raises(DataInvalid, match="column 'a': found list"):
        read_unknown(tmp_path / "a.parquet")
