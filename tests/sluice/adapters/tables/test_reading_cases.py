"""Files that once were read wrongly are read as people mean them; each is in tests/cases."""

import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluice.adapters.tables.files import UnknownFile, read_batch, read_rows, read_unknown
from sluice.config.data import DataConfig
from sluice.errors import DataInvalid

CASES = Path(__file__).resolve().parents[3] / "cases"


def read(name: str) -> UnknownFile:
    return read_unknown(CASES / name)


def kinds(found: UnknownFile) -> dict[str, str]:
    return {column.name: column.kind for column in found.columns}


def configure(found: UnknownFile, key: str, target: str = "y") -> DataConfig:
    features = tuple(name for name in kinds(found) if name not in (key, target))
    return DataConfig.model_validate(
        {
            "id": key,
            "target": target,
            "columns": kinds(found),
            "features": features,
            "suite": "none",
            "reading": found.reading.model_dump(),
        }
    )


def notes(found: UnknownFile) -> str:
    return "\n".join(note.text for note in found.notes)


@pytest.mark.parametrize(
    ("name", "nulls", "word"),
    [
        ("01_na_words.csv", 90, "90 cells such as 'NA' are null"),
        ("02_quoted_empty_numbers.csv", 24, ""),
        ("03_backslash_n.csv", 24, r"24 cells such as '\N' are null"),
    ],
)
def test_a_number_with_gaps_is_a_number_and_the_gaps_are_told(
    name: str, nulls: int, word: str
) -> None:
    found = read(name)
    assert kinds(found)["x"] == "number"
    assert found.table["x"].null_count == nulls
    assert word in notes(found)
    assert read_batch(found.path, configure(found, "id")).equals(found.table)


def test_decorated_numbers_are_numbers_and_told() -> None:
    found = read("04_decorated_numbers.csv")
    first = {name: found.table[name][0].as_py() for name in ("usd", "pct", "amount")}
    assert first == {"usd": 1133.98, "pct": 1.3, "amount": 11339.76}
    for words in ("'$1,133.98' is read as 1133.98", "'1.3%' is read as 1.3", "amount: '11,339.76'"):
        assert words in notes(found)
    assert read_batch(found.path, configure(found, "id")).equals(found.table)


def test_a_name_may_hold_a_comma() -> None:
    assert kinds(read("05_header_with_comma.csv"))["Sales, net"] == "number"


def test_line_breaks_in_cells_are_csv_at_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(CASES / "06_make_line_break_in_cell.py"))
    found = read_unknown(tmp_path / "06_line_break_in_cell.csv")
    assert found.path.stat().st_size > 1024 * 1024
    assert found.table["note"][0].as_py() == "first line\nsecond line 1"
    assert found.table.num_rows == found.table["id"][-1].as_py()


def test_ids_of_20_digits_are_text() -> None:
    found = read("07_id_of_20_digits.csv")
    assert kinds(found)["id"] == "text"
    assert len(set(found.table["id"].to_pylist())) == 240
    assert found.table["id"][1].as_py() == "12345678901234560001"


def test_one_cell_that_is_no_time_costs_one_row_and_the_next_batch_is_taken() -> None:
    found = read("10_time_as_text.csv")
    assert kinds(found)["ordered_at"] == "timestamp"
    config = configure(found, "order_id")
    second = read_rows(CASES / "10_time_as_text_batch2_one_unknown.csv", config)
    assert (second.table.num_rows, len(second.refused)) == (239, 1)
    assert "found 'unknown', allowed: a time such as" in second.refused[0].describe()
    assert second.refused_rows["ordered_at"].to_pylist() == ["unknown"]
    third = read_rows(CASES / "10_time_as_text_batch3_clean.csv", config)
    assert (third.table.num_rows, third.refused) == (240, ())


def test_the_index_of_pandas_is_left_out() -> None:
    found = read("15_pandas_index.parquet")
    assert list(kinds(found)) == ["id", "x", "c", "y"]
    assert "column '__index_level_0__' is an index: left out" in notes(found)
    rows = read_rows(found.path, configure(found, "id"))
    assert rows.table.num_rows == 216
    assert rows.notes == ("column '__index_level_0__' is an index: left out",)


def test_decimals_are_numbers_and_nanoseconds_are_cut_off() -> None:
    found = read("16_decimal_and_ns.parquet")
    assert kinds(found) == {"id": "integer", "amount": "number", "at": "timestamp", "y": "text"}
    rows = read_batch(found.path, configure(found, "id"))
    assert rows["amount"][1].as_py() == 1.25
    assert rows["at"][1].as_py() == datetime(2024, 1, 1, 1, tzinfo=UTC)


def test_semicolons_decimal_commas_and_cp1252_are_read_and_told() -> None:
    found = read("17_semicolon_and_cp1252.csv")
    assert kinds(found)["x"] == "number"
    assert "K\u00f6ln" in found.table["ort"].to_pylist()
    for words in ("read as cp1252", "divided by ';'", "decimal comma"):
        assert words in notes(found)
    assert read_batch(found.path, configure(found, "id")).equals(found.table)


def test_names_that_differ_by_case_only_are_refused() -> None:
    with pytest.raises(DataInvalid, match="columns 'x' and 'X' differ by case only"):
        read("case-names.csv")


def test_a_bad_cell_behind_line_breaks_has_its_true_line() -> None:
    path = CASES / "multiline-bad.csv"
    columns = {"row_id": "integer", "x": "number", "k": "integer", "c": "text", "y": "text"}
    config = DataConfig.model_validate(
        {
            "id": "row_id",
            "target": "y",
            "columns": {**columns, "note": "text"},
            "features": ["x"],
            "suite": "none",
        }
    )
    with pytest.raises(DataInvalid, match=r"line 212: column 'k': found text 'bad'"):
        read_batch(path, config)


@pytest.mark.parametrize(
    ("name", "zone", "first", "refused"),
    [
        ("naive-times.csv", "UTC", datetime(2024, 5, 1, 0, tzinfo=UTC), 0),
        ("naive-times.parquet", "UTC", datetime(2024, 3, 30, 22, tzinfo=UTC), 0),
        ("naive-times.csv", "Europe/Berlin", datetime(2024, 4, 30, 22, tzinfo=UTC), 0),
        # Clocks in Berlin skip one hour of this file.
        ("naive-times.parquet", "Europe/Berlin", datetime(2024, 3, 30, 21, tzinfo=UTC), 1),
    ],
)
def test_csv_and_parquet_have_one_rule_for_moments_without_a_zone(
    name: str, zone: str, first: datetime, refused: int
) -> None:
    found = read(name)
    assert kinds(found)["seen_at"] == "timestamp"
    config = configure(found, "row_id")
    reading = config.reading.model_copy(update={"zone": zone})
    rows = read_rows(found.path, config.model_copy(update={"reading": reading}))
    assert rows.table["seen_at"][0].as_py() == first
    assert len(rows.refused) == refused
