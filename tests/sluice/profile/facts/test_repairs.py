"""Faults of a file are refused with a command that repairs it, and the command works."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from sluice.adapters.tables.files import UnknownFile, read_unknown
from sluice.errors import Refused
from sluice.profile.facts.repairs import (
    check_content,
    check_roles,
    explain_header,
    find_header,
    find_variants,
    list_notices,
)
from support.releases.runs import facts_of

N = 60
EURO = "\u20ac"
IDS = [f"{row:05d}" for row in range(N)]
DAYS = [f"2026-0{1 + row // 28}-{row % 28 + 1:02d}" for row in range(N)]


def check(path: Path, target: str = "y", named: str = "", time: str = "") -> UnknownFile:
    found = read_unknown(path)
    check_content(path, found.table, found.columns, found.reading, target)
    chosen = (target, named, time)
    check_roles(path, found.table, found.columns, found.reading, chosen)
    return found


def write(folder: Path, name: str = "rows.csv", **columns: list[Any]) -> Path:
    path = folder / name
    rows = pd.DataFrame(columns)
    rows.to_parquet(path) if path.suffix == ".parquet" else rows.to_csv(path, index=False)
    return path


def repair(said: str, start: str = ".venv/bin/python -c ") -> None:
    """Run the Python of a message's command, as a shell would give it to Python."""
    command = start + said.split(start, 1)[1]
    code = shlex.split(command[: command.rindex('"') + 1])[2]
    exec(code, {})  # noqa: S102 - it is what a person types


def refuse(path: Path, *answers: str) -> str:
    with pytest.raises(Refused) as caught:
        check(path, *answers)
    return str(caught.value)


@pytest.mark.parametrize("name", ["two words.csv", "rows.csv.gz", "rows.parquet"])
def test_classes_that_differ_by_case_or_spaces_are_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, id=IDS, y=["yes", "Yes ", "YES", "no", " no", "No"] * 10)
    said = refuse(path)
    assert "'y' has values that differ by case or spaces only" in said
    assert "' no', 'No', 'no'" in said
    repair(said)
    ending = name.split(".", 1)[1]
    clean = check(path.with_name(f"{name.split('.', 1)[0]}-clean.{ending}"))
    assert {item.name: item.levels for item in clean.columns}["y"] == ("no", "yes")
    assert clean.table["id"].to_pylist() == IDS, "no zero is lost"


def test_honest_classes_pass_and_variants_of_features_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, id=IDS, y=["a", "b"] * 30, colour=["red", "Red ", "blue"] * 20)
    found = check(path)
    notices = list(list_notices(found.table, found.columns, "y", is_text_file=True))
    assert notices == ["colour: 'Red ', 'red' differ by case or spaces only, and are 2 categories"]


def test_values_in_other_words_are_no_variants() -> None:
    assert find_variants(facts_of(y=["a b", "ab", "A"])[0]) == ()
    assert find_variants(facts_of(y=["a  b", "A b", "c"])[0]) == ("A b", "a  b")


def test_empty_rows_of_a_spreadsheet_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, id=IDS, size=list(range(N)), y=["a", "b"] * 30)
    path.write_text(path.read_text() + ",,\n , ,\n")
    said = refuse(path)
    assert "2 of 62 rows are empty in every column" in said
    repair(said)
    assert check(tmp_path / "rows-filled.csv").table.num_rows == N


@pytest.mark.parametrize("label", ["Total", "SUMME:", " Grand total"])
def test_a_last_row_that_sums_the_others_is_refused(tmp_path: Path, label: str) -> None:
    sizes = [float(row) for row in range(1, N + 1)]
    path = write(tmp_path, id=[*IDS, label], size=[*sizes, sum(sizes)], y=[*sizes, sum(sizes)])
    said = refuse(path)
    assert "row 61 is no row of data" in said
    assert "'size' is the sum of the rows above" in said
    repair(said)
    assert check(tmp_path / "rows-rows.csv").table.num_rows == N


@pytest.mark.parametrize(
    ("label", "size"), [("Total", 7.0), ("north", 1830.0)], ids=["no sum", "no label"]
)
def test_a_last_row_of_data_stays(tmp_path: Path, label: str, size: float) -> None:
    sizes = [float(row) for row in range(1, N + 1)]
    path = write(tmp_path, id=[*IDS, label], size=[*sizes, size], y=[*sizes, 3.5])
    assert check(path).table.num_rows == N + 1


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_time_that_names_each_row_can_be_the_id(tmp_path: Path, name: str) -> None:
    moments = pd.date_range("2026-01-01", periods=N, freq="min", tz="UTC")
    path = tmp_path / name
    rows = pd.DataFrame({"heat": [row / 7 for row in range(N)], "y": [1, 2] * 30}, index=moments)
    rows.index.name = "seen"
    rows.to_parquet(path) if name.endswith("t") else rows.to_csv(path)
    said = refuse(path)
    assert "the time 'seen' does, and can be made text" in said
    assert "later files too" in said
    repair(said)
    found = check(tmp_path / name.replace("rows", "rows-with-id"))
    facts = {item.name: item for item in found.columns}
    assert facts["row_id"].kind == "text"
    assert facts["row_id"].unique


def test_a_name_and_a_time_that_name_each_row_together_can_be_the_id(tmp_path: Path) -> None:
    days = [day for day in DAYS[:30] for _ in "ab"]
    path = write(tmp_path, shop=["a", "b"] * 30, day=days, y=list(range(N)))
    said = refuse(path)
    assert "shop and day do together" in said
    repair(said)
    assert check(tmp_path / "rows-with-id.csv").table["row_id"][1].as_py() == "b|2026-01-01"


def test_rows_without_any_key_are_numbered_by_the_command_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = pd.DataFrame({"size": [row / 7 for row in range(N)], "zip": IDS, "y": [1, 2] * 30})
    rows["zip"] = rows["zip"].where(rows.index > 0, "00001")
    rows.to_csv(path, index=False, sep=";", encoding="cp1252")
    said = refuse(path)
    assert "later files must go on counting" in said
    repair(said)
    found = check(tmp_path / "rows-with-id.csv")
    assert found.table["zip"][5].as_py() == "00005"


@pytest.mark.parametrize(
    ("name", "values", "words", "first"),
    [
        ("created", [1_735_689_600_000 + row for row in range(N)], "ms since", "2025-01-01"),
        ("created_at", [1_735_689_600 + row for row in range(N)], "s since", "2025-01-01"),
        ("date", [20_260_101 + row % 28 for row in range(N)], "days such as", "2026-01-01"),
    ],
)
def test_times_that_are_numbers_are_asked_about(
    tmp_path: Path, name: str, values: list[int], words: str, first: str
) -> None:
    path = write(tmp_path, "rows.parquet", id=IDS, y=["a", "b"] * 30, **{name: values})
    said = refuse(path)
    assert f"--time: '{name}' is named like a time and holds {words}" in said
    check(path, "y", "", "none")
    repair(said)
    found = check(tmp_path / "rows-times.parquet")
    assert found.table.schema.field(name).type == pa.timestamp("us", tz="UTC")
    assert str(found.table[name][0].as_py()).startswith(first)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("phone", [1_735_689_600 + row for row in range(N)]),
        ("date_count", [20_260_150 + row for row in range(N)]),
        ("time", list(range(N))),
    ],
)
def test_other_numbers_are_no_times(tmp_path: Path, name: str, values: list[int]) -> None:
    check(write(tmp_path, id=IDS, y=["a", "b"] * 30, **{name: values}))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([-999, -999, -999, *range(57)], "size: -999 in 3 rows is far from the others (0 to 56)"),
        ([9999.0] * 4 + [row / 2 for row in range(56)], "size: 9999 in 4 rows"),
        ([-1, -1, -1, *range(57)], ""),
        ([99, 99, 99, *range(57)], ""),
        ([1234] * 4 + list(range(56)), ""),
        ([-999, *range(59)], ""),
        ([99] * 6 + [0, 1, 2, 3, 4, 5] * 9, "size: 99 in 6 rows is far from the others (0 to 5)"),
        ([99] * 6 + [0, 1] * 27, ""),
    ],
)
def test_numbers_that_may_stand_for_an_absent_value_are_told(
    tmp_path: Path, values: list[float], found: str
) -> None:
    path = write(tmp_path, id=IDS, size=values, y=["a", "b"] * 30)
    file = check(path)
    told = list(list_notices(file.table, file.columns, "y", is_text_file=True))
    assert [item.startswith(found) for item in told] == ([True] if found else [])


def test_copies_of_a_column_are_told_once(tmp_path: Path) -> None:
    sizes = [row / 7 for row in range(N)]
    other = [*sizes[1:], sizes[0]]
    path = write(tmp_path, id=IDS, size=sizes, y=sizes, other=other, again=sizes, more=sizes)
    file = check(path)
    notices = list(list_notices(file.table, file.columns, "y", is_text_file=True))
    assert [item.split(" in every row")[0] for item in notices] == [
        "again: the values of size",
        "more: the values of size",
    ]


def test_infinite_numbers_of_a_file_are_null(tmp_path: Path) -> None:
    cells = ["inf", "-Infinity", "2.5", "1e3"] * 15
    found = check(write(tmp_path, id=IDS, size=cells, y=["a", "b"] * 30))
    assert found.table["size"].to_pylist()[:4] == [None, None, 2.5, 1000.0]
    assert {"inf", "-Infinity"} <= set(found.reading.nulls)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([f"{row % 50 + 50}.5 kg" for row in range(N)], "such as '50.5 kg'"),
        ([f"{row % 50} {'kg' if row % 2 else 'lb'}" for row in range(N)], "'0 lb', '1 kg'"),
        (
            [f"{'$' if row % 2 else EURO}{row % 50}.00" for row in range(N)],
            f"'{EURO}0.00', '$1.00'",
        ),
        ([f"<{row % 50}" for row in range(N)], "'<0'"),
        ([f"{row % 3 * 12} months" for row in range(N)], ""),
        ([f"{row} kg" for row in range(N)], ""),
        ([f"Z{row % 50}.3" for row in range(N)], ""),
        ([f"{row % 50}-{row % 50 + 9}" for row in range(N)], ""),
        ([f"{row % 50:05d}" for row in range(N)], ""),
        ([f"Rose Lane {row % 50}" for row in range(N)], ""),
        ([f"{row % 50}{'abcdefgh'[row % 8]}" for row in range(N)], ""),
    ],
)
def test_numbers_with_units_that_stay_text_are_told(
    tmp_path: Path, cells: list[str], told: str
) -> None:
    file = check(write(tmp_path, id=IDS, size=cells, y=["a", "b"] * 30))
    notices = list(list_notices(file.table, file.columns, "y", is_text_file=True))
    assert len(notices) == bool(told)
    assert all(told in item and "60 cells are numbers" in item for item in notices)


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["id,x,y", "1,2,3", "2,3,4"], 1),
        (["Report,,", "Printed today,,", ",,", "id,x,y", "1,2,3", "2,,4"], 4),
        (["sep=;", "id;x;y", "1;2;3"], 2),
        (["Sales, north", "id;x;y", "1;2,5;3", "1;2,5;3"], 2),
        (["id"], 1),
        ([], 1),
    ],
)
def test_names_below_a_title_are_found(lines: list[str], line: int) -> None:
    assert find_header(lines) == line


def test_a_title_above_the_names_is_left_out_by_the_command(tmp_path: Path) -> None:
    path = tmp_path / "a report.csv"
    path.write_text("Report,,\n,,\nid,x,y\n1,2,3\n")
    said = explain_header(path, path.read_text().splitlines())
    assert said.startswith("the names seem to be in line 3")
    command = said.split("leave the lines above it out: ")[1].split(" (of later")[0]
    subprocess.run(command, shell=True, check=True)  # noqa: S602 - as a person types it
    assert (tmp_path / "a report-table.csv").read_text().startswith("id,x,y\n1")
    assert explain_header(path, ["id,x", "1,2"]) == ""
