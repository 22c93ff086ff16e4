"""Files are found by path, folder or pattern, and identified by size and time."""

import os
from pathlib import Path

import pytest

from sluice.adapters.sources.files import list_files
from sluice.errors import DataUnavailable


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    for age, name in ((30, "b.csv"), (20, "a.parquet"), (10, ".hidden.csv"), (5, "notes.txt")):
        (folder / name).write_text(name, encoding="utf-8")
        os.utime(folder / name, (1000 - age, 1000 - age))
    (folder / "sub.csv").mkdir()
    return folder


def names(path: object, modified_before: float = float("inf")) -> list[str]:
    return [Path(item.source).name for item in list_files(str(path), modified_before)]


def test_a_folder_stands_for_its_data_files_oldest_first(drop: Path) -> None:
    assert names(drop) == ["b.csv", "a.parquet"]


def test_a_pattern_and_a_file_stand_for_themselves(drop: Path) -> None:
    assert names(drop / "*.csv") == ["b.csv"]
    assert names(drop / "a.parquet") == ["a.parquet"]
    assert names(drop / "*.json") == []


def test_a_file_modified_just_now_waits(drop: Path) -> None:
    assert names(drop, modified_before=975) == ["b.csv"]


def test_a_file_that_changed_has_another_mark(drop: Path) -> None:
    first = list_files(str(drop / "b.csv"))
    os.utime(drop / "b.csv", (2000, 2000))
    second = list_files(str(drop / "b.csv"))
    assert first[0].subject == second[0].subject
    assert first[0].mark != second[0].mark


@pytest.mark.parametrize("path", ["gone", "gone/*.csv", "gone.csv", "gone/*/a.csv"])
def test_a_missing_folder_is_an_infrastructure_error(path: str, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="no such"):
        list_files(str(tmp_path / path))
