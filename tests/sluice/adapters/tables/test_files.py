"""A file becomes rows of the service's schema, or an error with its place and reason."""

import gzip
import re
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from sluice.adapters.tables import files
from sluice.adapters.tables.files import read_batch
from sluice.config.data import DataConfig
from sluice.config.loading import load_service
from sluice.data.schema import arrow_schema
from sluice.errors import DataInvalid, DataUnavailable
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
    assert "found extension '.xlsx', allowed: .parquet, .csv, .tsv, .csv.gz, .tsv.gz" in refusal(
        path
    )
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
        ("2,1,a,true,yesterday,0", "line 3: column 'seen': found 'yesterday', allowed: a time"),
        ("2,1,a,true,,0.5", "row 2: column 'label': found 0.5, allowed: integer"),
        ("2,inf,a,true,,0", "row 2: column 'size': found inf, allowed: finite numbers and nulls"),
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


FORMATS = {
    "gzip.csv": (gzip.compress((HEADER + GOOD * 40).encode()), "found gzip", "ends in .csv.gz"),
    "parquet.csv": (b"PAR1....PAR1", "found Parquet", "ends in .parquet"),
    "plain.csv.gz": (HEADER.encode(), "found plain text", "ends in .csv"),
    "book.csv": (b"PK\x03\x04....", "an Excel workbook", "save the table as CSV"),
    "book.parquet": (b"PK\x03\x04....", "an Excel workbook", "save the table as CSV"),
    "secret.parquet": (b"PARE....PARE", "encrypted Parquet", "without encryption"),
}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_file_of_another_format_than_its_name_says_is_named(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content, found, step = FORMATS[name]
    (tmp_path / name).write_bytes(content)
    said = refusal(tmp_path / name)
    assert found in said
    assert step in said
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("cut", [True, False])
def test_a_file_that_changes_while_it_is_read_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    whole = HEADER + GOOD + GOOD.replace("1", "2", 1)
    path = write(tmp_path / "a.csv", whole[:-9] if cut else HEADER + GOOD)
    read_csv = files.read_csv

    def read_and_write(*given: object) -> object:
        try:
            return read_csv(*given)  # type: ignore[arg-type]
        finally:
            path.write_text(whole)

    monkeypatch.setattr(files, "read_csv", read_and_write)
    with pytest.raises(DataUnavailable, match="it changed while it was read"):
        read_batch(path, CONFIG)
    monkeypatch.undo()
    assert read_batch(path, CONFIG).num_rows == 2


def test_utf_16_without_a_mark_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes((HEADER + GOOD).encode("utf-16-le"))
    assert "next: name the encoding with --encoding utf-16-le" in refusal(path)


def test_another_delimiter_beside_a_decimal_comma_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", (HEADER + GOOD).replace(",", ";").replace("1.5", "1,5"))
    assert "cells are divided by a semicolon" in refusal(path)


def test_a_file_of_other_data_is_told_without_a_change_of_every_column(tmp_path: Path) -> None:
    said = refusal(write(tmp_path / "a.csv", "no,data\n1,2\n"))
    assert "found none of the service's columns, but no, data" in said


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (GOOD + GOOD[1:], "1 rows have no id (first: line 3)"),
        (GOOD + GOOD.replace("1", "2", 1) + GOOD, "(first: 1), the first in line 2 and line 4; "),
        (GOOD.replace("2020", "x") + GOOD[1:], "1 rows have no id (first: line 3)"),
    ],
)
def test_rows_without_an_id_of_their_own_are_named(tmp_path: Path, rows: str, words: str) -> None:
    said = refusal(write(tmp_path / "a.csv", HEADER + rows))
    assert words in said
    assert "next: " in said
