"""A file becomes rows of the service's schema, or an error with its place and reason."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from sluice.adapters.tables.files import read_batch
from sluice.config.data import DataConfig
from sluice.config.loading import load_service
from sluice.data.schema import arrow_schema
from sluice.errors import DataInvalid
from sluice.home import SAMPLES
from support.releases.runs import small_config

EMPLOYMENT = load_service("employment", "development").data
CONFIG = small_config("size")
HEADER = "key,size,name,flag,seen,label\n"
GOOD = "1,1.5,a,true,2020-01-01T00:00:00Z,0\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path, config: DataConfig = CONFIG) -> str:
    with pytest.raises(DataInvalid) as caught:
        read_batch(path, config)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("year", [2015, 2016, 2017, 2018])
def test_the_survey_is_read(year: int) -> None:
    table = read_batch(SAMPLES / f"acs_employment_{year}.parquet", EMPLOYMENT)
    assert table.schema.equals(arrow_schema(EMPLOYMENT))
    assert table.num_rows == 12_000


def test_csv_and_parquet_have_the_same_rows(tmp_path: Path) -> None:
    table = read_batch(SAMPLES / "acs_employment_2015.parquet", EMPLOYMENT)
    csv.write_csv(table, tmp_path / "survey.csv")
    assert read_batch(tmp_path / "survey.csv", EMPLOYMENT).equals(table)


def test_csv_cells_are_parsed_as_their_kind(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", HEADER + GOOD + '2, 3 ,"",FALSE,2020-01-02T00:00:00Z,1.0\n3,,,,,\n'
    )
    table = read_batch(path, CONFIG)
    assert table["size"].to_pylist() == [1.5, 3.0, None]
    assert table["name"].to_pylist() == ["a", "", None]
    assert table["flag"].to_pylist() == [True, False, None]
    assert table["label"].to_pylist() == [0, 1, None]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "\ufeff" + HEADER + GOOD)
    assert read_batch(path, CONFIG).num_rows == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "gone.csv")


def test_an_unknown_extension_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.xlsx", "x")
    assert "found extension '.xlsx', allowed: .parquet, .csv" in refusal(path)
    assert "found no extension" in refusal(write(tmp_path / "rows", "x"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()
    assert "found a folder" in refusal(tmp_path / "rows.csv")


@pytest.mark.parametrize("name", ["empty.parquet", "empty.csv"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    assert "the file is empty" in refusal(write(tmp_path / name, ""))


def test_a_file_with_only_a_header_is_refused(tmp_path: Path) -> None:
    assert "no rows" in refusal(write(tmp_path / "a.csv", HEADER))


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
def test_a_truncated_parquet_file_is_refused(tmp_path: Path, kept: float) -> None:
    whole = (SAMPLES / "acs_employment_2015.parquet").read_bytes()
    path = tmp_path / "cut.parquet"
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert "not readable as parquet" in refusal(path, EMPLOYMENT)


def test_a_damaged_parquet_page_is_refused(tmp_path: Path) -> None:
    whole = bytearray((SAMPLES / "acs_employment_2015.parquet").read_bytes())
    whole[1000:6000] = b"\x00" * 5000
    path = tmp_path / "damaged.parquet"
    path.write_bytes(whole)
    assert "damaged.parquet" in refusal(path, EMPLOYMENT)


def test_a_word_among_numbers_is_found_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER + GOOD + "\n2,tall,b,true,,1\n")
    assert "line 4: column 'size': found text 'tall', allowed: number" in refusal(path)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("x,1,a,true,,0", "line 3: column 'key': found text 'x', allowed: integer"),
        ("2,1,a,maybe,,0", "line 3: column 'flag': found text 'maybe', allowed: boolean"),
        ("2,1,a,true,yesterday,0", "column 'seen': found text 'yesterday', allowed: timestamp"),
        ("2,1,a,true,,0.5", "row 2: column 'label': found 0.5, allowed: integer"),
        ("2,inf,a,true,,0", "row 2: column 'size': found inf, allowed: finite numbers"),
        ("2,1,a", "line 3: found 3 cells, allowed: 6"),
        ("2,1,a,true,,0,9", "line 3: found 7 cells, allowed: 6"),
        ("1,1,a,true,,0", "column 'key': 1 ids are given more than once (first: 1)"),
        (",1,a,true,,0", "column 'key': 1 rows have no id"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, row: str, words: str) -> None:
    assert words in refusal(write(tmp_path / "a.csv", HEADER + GOOD + row + "\n"))


def test_a_misspelt_column_is_recognised(tmp_path: Path) -> None:
    message = refusal(write(tmp_path / "a.csv", HEADER.replace("label", "lable") + GOOD))
    assert "column 'label' is missing (did you mean 'lable'?)" in message
    assert "allowed columns: key, size, name, flag, seen, label" in message


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes((HEADER + GOOD).replace("a", "\u00e4").encode("latin-1"))
    refusal(path)
    path.write_bytes(HEADER.encode() + GOOD.replace(",a,", ",\u00e4,").encode("latin-1"))
    assert re.search("utf-?8", refusal(path), re.IGNORECASE)


def test_text_in_a_parquet_number_is_refused_even_if_it_looks_like_one(tmp_path: Path) -> None:
    table = read_batch(SAMPLES / "acs_employment_2015.parquet", EMPLOYMENT)
    ages = table["age"].cast(pa.string())
    parquet.write_table(
        table.set_column(table.column_names.index("age"), "age", ages), tmp_path / "a.parquet"
    )
    assert "column 'age': found text" in refusal(tmp_path / "a.parquet", EMPLOYMENT)
