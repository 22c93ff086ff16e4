"""Laws of reading: ingest reads what init read, and no bytes end in another error than ours."""

import csv
import io
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sluice.adapters.tables.files import UnknownFile, read_rows, read_unknown
from sluice.config.data import DataConfig
from sluice.errors import SluiceError
from sluice.profile.facts.cells import GuessOptions

OPTIONS = GuessOptions(dates="day-first", decimal=".")
NUMBERS = st.sampled_from(["1", "2.5", "-3", "1e3", " 4 ", "+5", "0", ".5", "7."])
CELLS = st.one_of(
    NUMBERS,
    st.sampled_from(["NA", "", ".", "n/a", r"\N", "-", "unknown", "none"]),
    st.sampled_from(["$1,234.50", "$3", "45%", "1,234", "(2.00)", "1 234", "007", "9" * 20, "inf"]),
    st.sampled_from(["2024-05-01", "2024-05-01 10:00", "01/02/2024", "31.12.2024", "2024-02-30"]),
    st.sampled_from(
        ["true", "FALSE", "red", "A12", "5 kg", "1.2.3", "K\u00f6ln", 'say "hi"', "a,b"]
    ),
)
COLUMN = st.one_of(
    st.lists(NUMBERS, min_size=12, max_size=12),
    st.lists(CELLS, min_size=12, max_size=12),
    CELLS.flatmap(
        lambda cell: st.lists(st.sampled_from([cell, "NA", "1", ""]), min_size=12, max_size=12)
    ),
)
SETTINGS = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def try_unknown(path: Path) -> UnknownFile | SluiceError:
    """Return what init reads in a file, or why it refuses the file."""
    try:
        return read_unknown(path, OPTIONS)
    except SluiceError as error:
        return error


@SETTINGS
@given(
    columns=st.lists(COLUMN, min_size=1, max_size=3),
    delimiter=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16"]),
)
@example(columns=[["$1,234.50", "NA"] * 6], delimiter=",", encoding="utf-8")
@example(columns=[["2024-05-01"] * 11 + ["unknown"]], delimiter=";", encoding="cp1252")
def test_what_init_read_is_what_ingest_reads(
    tmp_path: Path, columns: list[list[str]], delimiter: str, encoding: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    names = [f"x{place}" for place in range(len(columns))]
    writer.writerow(["key", *names, "y"])
    for row, cells in enumerate(zip(*columns, strict=True)):
        writer.writerow([row, *cells, row % 2])
    path = tmp_path / "a.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    found = try_unknown(path)
    if isinstance(found, SluiceError):
        assert "found inf, allowed: finite" in str(found)  # the one value that no kind takes
        return
    config = DataConfig.model_validate(
        {
            "id": "key",
            "target": "y",
            "columns": {column.name: column.kind for column in found.columns},
            "features": names,
            "suite": "none",
            "reading": found.reading.model_dump(),
        }
    )
    rows = read_rows(path, config)
    assert rows.table.equals(found.table)
    assert rows.table.num_rows + len(rows.refused) == 12
    assert rows.refused_rows.num_rows == len(rows.refused)


@SETTINGS
@given(
    content=st.one_of(
        st.binary(min_size=1, max_size=200),
        st.text(alphabet='a1,;"\n\r\t|.\x00', min_size=1, max_size=80).map(str.encode),
    ),
    name=st.sampled_from(["a.csv", "a.tsv", "a.csv.gz", "a.parquet"]),
)
def test_no_bytes_end_in_another_error_than_ours(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found = try_unknown(path)
    assert isinstance(found, UnknownFile) or str(path) in str(found)
