"""CSV as people write it: delimiters, encodings, quotes, line breaks, gzip, true lines."""

import csv
import gzip
import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.adapters.tables.csv_file import find_lines, guess_delimiter, guess_encoding, read_cells
from sluice.adapters.tables.files import read_batch, read_rows, read_unknown
from sluice.config.data import DataConfig
from sluice.config.reading import ReadingConfig
from sluice.errors import DataInvalid

CONFIG = DataConfig(
    id="key",
    target="label",
    columns={"key": "integer", "size": "number", "name": "text", "label": "boolean"},
    features=("size",),
    suite="none",
)
HEADER = "key,size,name,label\n"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix.lower() == ".gz" else content)
    return path


def refusal(path: Path, reading: ReadingConfig | None = None) -> str:
    config = CONFIG.model_copy(update={"reading": reading or ReadingConfig()})
    with pytest.raises(DataInvalid) as caught:
        read_batch(path, config)
    return str(caught.value)


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\ufeff", exclude_categories=("Cs",)),
    max_size=12,
).filter(lambda text: "\r" not in text)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_writes_is_read_cell_by_cell(
    tmp_path: Path, rows: list[list[str]], delimiter: str, encoding: str, ending: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=ending)
    writer.writerows([["a, b;", 'c "d"\nx'], *rows])
    path = write(tmp_path / "a.csv", text.getvalue(), encoding)
    table = read_cells(path, ReadingConfig(delimiter=delimiter))
    assert table.column_names == ["a, b;", 'c "d"\nx']
    assert [list(row.values()) for row in table.to_pylist()] == rows


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(gaps=st.lists(st.sampled_from(["", "one", "two\nlines", "\n\n", "a\r\nb"]), min_size=1))
def test_the_line_of_a_row_is_where_an_editor_shows_it(tmp_path: Path, gaps: list[str]) -> None:
    lines, text = [], "key,note\n"
    for row, note in enumerate(gaps):
        text += "\n" if note == "one" else ""  # empty lines hold no row
        lines.append(text.count("\n") + 1)
        text += f'{row},"{note}"\n'
    path = write(tmp_path / "a.csv", text)
    assert find_lines(path, ReadingConfig(), list(range(len(gaps)))) == lines


@pytest.mark.parametrize("name", ["A.CSV", "a.tsv", "a.csv.gz", "a.Tsv.GZ", "a.csv"])
def test_every_extension_is_read_by_init_and_by_ingest_alike(tmp_path: Path, name: str) -> None:
    text = HEADER + '1,1.5,"a, b",true\n2,,c,false\n'
    tabbed = "key\tsize\tname\tlabel\n1\t1.5\ta, b\ttrue\n2\t\tc\tfalse\n"
    path = write(tmp_path / name, tabbed if "tsv" in name.lower() else text)
    found = read_unknown(path)
    config = CONFIG.model_copy(update={"reading": found.reading})
    assert read_batch(path, config).equals(found.table)
    assert found.table["name"].to_pylist() == ["a, b", "c"]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
def test_delimiter_and_encoding_are_recognised_and_hold_for_later_files(
    tmp_path: Path, sign: str, encoding: str
) -> None:
    text = HEADER + "1,1.5,K\u00f6ln,true\n2,2.5,Bonn,false\n"
    path = write(tmp_path / "a.csv", text.replace(",", sign), encoding)
    found = read_unknown(path)
    assert found.reading.delimiter == sign
    assert found.reading.encoding == encoding.removesuffix("-sig")
    assert found.table["name"].to_pylist() == ["K\u00f6ln", "Bonn"]
    later = write(
        tmp_path / "b.csv", (HEADER + "3,0.5,M\u00fcnchen,true\n").replace(",", sign), encoding
    )
    rows = read_batch(later, CONFIG.model_copy(update={"reading": found.reading}))
    assert rows["name"].to_pylist() == ["M\u00fcnchen"]
    told = " ".join(note.text for note in found.notes)
    assert (encoding in told) == (encoding not in ("utf-8", "utf-8-sig"))


def test_a_delimiter_inside_of_quotes_is_no_delimiter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '"a;b;c;d",e\n"1;2;3;4",x\n"1;2;3;5",y\n')
    assert guess_delimiter(path, "utf-8") == ","
    assert read_unknown(path).table.column_names == ["a;b;c;d", "e"]


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "size\n1.5\n2.5\n")
    assert guess_delimiter(path, "utf-8") == ","
    assert read_unknown(path).table["size"].to_pylist() == [1.5, 2.5]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(HEADER.encode() + b"1,1,\x81\x8d,true\n")
    with pytest.raises(DataInvalid, match=r"found bytes that are not cp1252.*such as latin-1"):
        read_unknown(path)


def test_bytes_that_no_encoding_of_the_web_has_are_cp1252(tmp_path: Path) -> None:
    assert guess_encoding(write(tmp_path / "a.csv", "K\u00f6ln", "cp1252")) == "cp1252"
    assert guess_encoding(write(tmp_path / "b.csv", "K\u00f6ln")) == "utf-8"


def test_another_delimiter_or_encoding_than_the_services_is_named_with_the_option(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.csv", (HEADER + "1,1,a,true\n").replace(",", ";"))
    assert (
        "line 1: cells are divided by a semicolon, allowed: a comma; next: give --delimiter ';'"
        in refusal(path)
    )
    path = write(tmp_path / "b.csv", HEADER + "1,1,\u00e4,true\n", "cp1252")
    assert "found bytes that are not UTF-8; allowed: UTF-8; next: name the encoding" in refusal(
        path
    )
    assert "not utf-16" in refusal(path, ReadingConfig(encoding="utf-16"))


@pytest.mark.parametrize("encoding", ["cp1252", "iso8859-1", "mac-roman", "shift_jis"])
def test_utf8_is_never_read_as_the_signs_of_another_encoding(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a.csv", HEADER + "1,1,M\u00fcnchen \u2013 Nord,true\n")
    reading = ReadingConfig(encoding=encoding)
    expected = f"found bytes that are utf-8, allowed: {encoding}; next: name the encoding"
    assert expected in refusal(path, reading)
    path = write(tmp_path / "b.csv", HEADER + "1,1,Bonn,true\n")
    rows = read_batch(path, CONFIG.model_copy(update={"reading": reading}))
    assert rows["name"].to_pylist() == ["Bonn"], "ASCII is the same in all of them"


def test_a_cell_with_more_line_breaks_than_a_block_has_is_read(tmp_path: Path) -> None:
    note = "line\n" * 600_000
    path = write(tmp_path / "a.csv", HEADER + f'1,1,"{note}",true\n2,2,b,false\n')
    assert read_batch(path, CONFIG)["name"].to_pylist() == [note, "b"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('1,1,"a,true\n2,2,b,false\n', 2),
        ('1,1,a,true\n2,2,"two\nlines",false\n3,3,"b,true\n4,4,c,true\n', 5),
        ('1,1,a,true\n2,2,b,"true\n', 3),
    ],
)
def test_a_quote_that_is_never_closed_hides_no_rows(tmp_path: Path, text: str, line: int) -> None:
    found = refusal(write(tmp_path / "a.csv", HEADER + text))
    assert f"line {line}: found a quote that is never closed" in found or "allowed" in found
    assert "line" in found


def test_quotes_in_the_middle_of_a_cell_are_plain_signs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER + '1,1,5" pipe,true\n2,2,b,false\n')
    assert read_batch(path, CONFIG)["name"].to_pylist() == ['5" pipe', "b"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("3,tall,x,true", "line 6: column 'size': found text 'tall', allowed: number"),
        ("3,1,x", "line 6: found 3 cells, allowed: 4"),
        ("3,1,x,maybe", "line 6: column 'label': found text 'maybe', allowed: boolean"),
    ],
)
def test_lines_are_right_behind_line_breaks_and_empty_lines(
    tmp_path: Path, row: str, words: str
) -> None:
    text = HEADER + f'1,1,"two\nlines",true\n\n2,2,b,false\n{row}\n'
    assert words in refusal(write(tmp_path / "a.csv", text))


def test_a_gzip_file_that_is_cut_off_or_is_none_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress((HEADER + "1,1,a,true\n" * 5000).encode())
    for content, words in (
        (whole[: len(whole) // 2], r"not readable as csv\.gz"),
        (b"no gzip at all", "found plain text by its first bytes"),
        (HEADER.encode(), r"next: rename it so that it ends in \.csv"),
    ):
        path = tmp_path / "a.csv.gz"
        path.write_bytes(content)
        assert re.search(words, refusal(path))
        with pytest.raises(DataInvalid, match=words):
            read_unknown(path)


def test_an_index_without_a_name_is_left_out_with_a_word(tmp_path: Path) -> None:
    text = ",key,size,name,label,\n0,1,1,a,true,\n1,2,2,b,false,\n"
    path = write(tmp_path / "a.csv", text)
    found = read_unknown(path)
    assert found.table.column_names == ["key", "size", "name", "label"]
    assert [note.text for note in found.notes] == [
        "column 1 has no name: left out",
        "column 6 has no name: left out",
    ]
    rows = read_rows(path, CONFIG)
    assert (rows.table.num_rows, len(rows.notes)) == (2, 2)


def test_names_that_differ_by_case_only_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "key,Size,size\n1,2,3\n")
    with pytest.raises(DataInvalid, match="columns 'Size' and 'size' differ by case only"):
        read_unknown(path)


def test_a_number_that_stands_for_null_is_null(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", HEADER + "1,-999,a,true\n2,1.5,-999,false\n")
    reading = ReadingConfig(nulls=("-999",))
    rows = read_batch(path, CONFIG.model_copy(update={"reading": reading}))
    assert rows["size"].to_pylist() == [None, 1.5]
    assert rows["name"].to_pylist() == ["a", "-999"]
