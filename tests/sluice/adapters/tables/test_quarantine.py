"""A refused batch is kept whole, together with the reason."""

import csv as plain_csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from sluice.adapters.tables.batches import quarantine_batch
from sluice.adapters.tables.quarantine import find_quarantined, list_quarantined, read_refusal
from sluice.data.version import hash_content
from sluice.errors import DataUnavailable
from sluice.verdict import Check, Outcome, Verdict

BATCH = pa.table({"key": [1, 2, 3], "name": ["a", None, "c"]})
BAD = pa.table({"rule": ["name not null"], "column": ["name"], "key": ["2"], "value": [None]})
VERDICT = Verdict("data", Outcome.FAIL, (Check("name not null", Outcome.FAIL),), "a null", "fix it")


def test_rows_verdict_and_bad_rows_are_written(tmp_path: Path) -> None:
    folder = quarantine_batch(tmp_path / "q", BATCH, VERDICT, BAD, "a.csv")
    assert folder.name == hash_content(BATCH)
    assert parquet.read_table(folder / "batch.parquet").equals(BATCH)
    record = json.loads((folder / "verdict.json").read_text())
    assert record["source"] == "a.csv"
    assert Verdict.from_dict(record) == VERDICT
    assert csv.read_csv(folder / "bad_rows.csv")["key"].to_pylist() == [2]


def test_the_same_batch_again_keeps_one_folder_with_the_newer_verdict(tmp_path: Path) -> None:
    first = quarantine_batch(tmp_path, BATCH, VERDICT, BAD, "a.csv")
    newer = replace(VERDICT, reason="still a null")
    assert quarantine_batch(tmp_path, BATCH, newer, BAD, "a.csv") == first
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    assert json.loads((first / "verdict.json").read_text())["reason"] == "still a null"


def test_a_file_in_place_of_the_folder_is_an_infrastructure_error(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("x")
    with pytest.raises(DataUnavailable, match="quarantine"):
        quarantine_batch(tmp_path / "q", BATCH, VERDICT, BAD, "a.csv")


FULL_DISK = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from sluice.adapters.tables.batches import quarantine_batch
from sluice.verdict import Outcome, Verdict
batch = pa.table({"key": [key * 7919 % 99991 for key in range(50000)]})
bad = pa.table({"rule": pa.array([], pa.string())})
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
quarantine_batch(Path(sys.argv[1]), batch, Verdict("data", Outcome.FAIL, (), "", ""), bad, "x")
"""


def test_a_full_disk_leaves_no_incomplete_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "StorageFull" in done.stderr.strip().splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_kill_left_unfinished_is_no_batch(tmp_path: Path) -> None:
    place = quarantine_batch(tmp_path, BATCH, VERDICT, BAD, "a.csv")
    unfinished = tmp_path / ".incoming-killed"
    unfinished.mkdir()
    parquet.write_table(BATCH, unfinished / "batch.parquet")
    assert [item.name for item in list_quarantined(tmp_path)] == [place.name]


@pytest.mark.parametrize("name", ["verdict.json", "bad_rows.csv"])
def test_a_batch_with_a_missing_file_does_not_hide_the_others(tmp_path: Path, name: str) -> None:
    place = quarantine_batch(tmp_path, BATCH, VERDICT, BAD, "a.csv")
    other = quarantine_batch(tmp_path, BATCH.slice(1), VERDICT, BAD, "b.csv")
    (place / name).unlink()
    states = {item.name: item.state for item in list_quarantined(tmp_path)}
    assert states == {place.name: "damaged", other.name: "waiting"}
    assert find_quarantined(tmp_path, other.name).rows == 2


def test_a_bad_cell_of_any_length_is_read(tmp_path: Path) -> None:
    plain_csv.field_size_limit(131_072)
    long = BAD.set_column(3, "value", [["x" * 200_000]])
    quarantine_batch(tmp_path, BATCH, VERDICT, long, "a.csv")
    (found,) = list_quarantined(tmp_path)
    assert read_refusal(tmp_path, found)[2]["value"].to_pylist() == ["x" * 200_000]
