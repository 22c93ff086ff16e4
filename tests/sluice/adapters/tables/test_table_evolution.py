"""A change of the schema is one version of the table; older versions stay, and known rows known."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from sluice.adapters.tables.delta import (
    append_batch,
    latest_version,
    list_versions,
    read_changes,
    read_kinds,
    read_version,
)
from sluice.adapters.tables.evolution import lock_table
from sluice.adapters.tables.snapshot import read_once
from sluice.data.batches.arrival import compare_batch, mark_new_rows
from sluice.data.evolution import SchemaChange
from sluice.data.version import DataVersion
from sluice.errors import DataInvalid, SluiceError

FIRST = pa.table({"key": [1, 2, 3], "size": [4, None, 6], "name": ["a", "b", None]})
CHANGES = {
    "add": SchemaChange("add", "new", "number"),
    "rename": SchemaChange("rename", "name", name="word"),
    "widen": SchemaChange("widen", "size", "number", "integer"),
    "drop": SchemaChange("drop", "name", before="text"),
}


@pytest.fixture
def uri(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "shop" / "table"
    append_batch(path, FIRST, {"source": "a.csv"}, "key")
    return path


def change(uri: Path, *changes: SchemaChange) -> DataVersion:
    for item in changes:
        with lock_table(uri, "shop") as table:
            data = table.apply(item, {"by": "Ann"})
    return data


@pytest.mark.parametrize("action", CHANGES)
def test_a_change_is_one_version_and_the_older_one_stays(uri: Path, action: str) -> None:
    before = read_version(uri, "shop", 0, "key")
    data = change(uri, CHANGES[action])
    assert (data.version, data.rows, latest_version(uri, "shop")) == (1, 3, 1)
    assert list_versions(uri, "shop")[1] == data == read_version(uri, "shop", 1)[1]
    again = read_version(uri, "shop", 0, "key")
    assert again[0].equals(before[0])
    assert again[1] == before[1]
    opened = DeltaTable(str(uri))
    assert opened.metadata().configuration["delta.appendOnly"] == "true"
    assert opened.to_pyarrow_table().num_rows == opened.count() == 3
    assert [item.author for item in read_changes(uri)] == ["Ann"]


@pytest.mark.parametrize("action", CHANGES)
def test_an_older_version_is_read_in_the_columns_of_today(uri: Path, action: str) -> None:
    change(uri, CHANGES[action])
    now, _ = read_version(uri, "shop", 1, "key")
    kinds = read_kinds(uri)
    then, data = read_version(uri, "shop", 0, "key", kinds)
    assert then.equals(now)
    assert data == list_versions(uri, "shop")[0]
    old = {"key": "integer", "size": "integer", "name": "text"}
    assert read_version(uri, "shop", 0, "key", old)[0].equals(FIRST)


def test_a_releases_copy_is_in_the_columns_of_today(uri: Path, tmp_path: Path) -> None:
    change(uri, CHANGES["add"], CHANGES["widen"], CHANGES["drop"])
    kinds = read_kinds(uri)
    first = read_once(tmp_path, uri, "shop", 0, "key", columns=kinds)
    shutil.rmtree(uri)
    again = read_once(tmp_path, uri, "shop", 0, "key", columns=kinds)
    assert again[0].equals(first[0])
    assert again[0].column_names == ["key", "size", "new"]
    assert mark_new_rows(again[0], again[0], "key").rows_before == {"new": 3}


def test_rows_that_were_known_before_are_still_known(uri: Path) -> None:
    change(uri, CHANGES["add"], CHANGES["rename"], CHANGES["widen"])
    table, _ = read_version(uri, "shop", 3, "key")
    delivered = pa.table(
        {
            "key": [3, 1, 9],
            "size": [6.0, 4.0, 1.5],
            "word": [None, "a", "z"],
            "new": [0.5, None, 2.5],
        }
    )
    found = compare_batch(delivered, table, "key")
    assert (found.known, found.changed.num_rows) == (2, 0)
    assert found.fresh["key"].to_pylist() == [9]
    other = delivered.set_column(2, "word", pa.array(["other", "a", "z"]))
    assert compare_batch(other, table, "key").changed["key"].to_pylist() == [3]


def test_new_rows_are_not_compared_with_rows_older_than_the_column(uri: Path) -> None:
    change(uri, CHANGES["add"])
    columns = {"key": [4, 5], "size": [1, 2], "name": ["a", "b"], "new": [None, 2.0]}
    batch = pa.table(columns, pa.schema([*FIRST.schema, pa.field("new", pa.float64())]))
    append_batch(uri, batch, {"source": "b.csv"}, "key")
    table, _ = read_version(uri, "shop", 2, "key")
    arrival = mark_new_rows(batch, table, "key")
    values = arrival.take_previous("new")
    assert (len(values), int(values.isna().sum())) == (2, 1)
    assert len(arrival.take_previous("size")) == 5


def test_a_batch_from_before_the_change_is_not_appended(uri: Path) -> None:
    change(uri, CHANGES["rename"])
    with pytest.raises(DataInvalid, match=r"another schema.*next: ingest it again"):
        append_batch(uri, FIRST.slice(0, 1), {"source": "late.csv"}, "key")
    assert latest_version(uri, "shop") == 1


def test_ingests_at_the_same_time_are_before_the_change_or_refused(uri: Path) -> None:
    def append(key: int) -> bool:
        batch = pa.table({"key": [key], "size": [key], "name": ["x"]})
        try:
            append_batch(uri, batch, {"source": f"{key}.csv"}, "key")
        except SluiceError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        taken = [pool.submit(append, key) for key in range(10, 20)]
        changed = pool.submit(change, uri, CHANGES["rename"])
        appended = sum(item.result() for item in taken)
        assert changed.result().rows <= 3 + appended
    versions = list_versions(uri, "shop")
    assert [item.version for item in versions] == list(range(appended + 2))
    rows, _ = read_version(uri, "shop", versions[-1].version, "key")
    assert rows.num_rows == 3 + appended
    assert rows.column_names == ["key", "size", "word"]


def test_a_damaged_table_is_not_written_again(uri: Path) -> None:
    file = next(uri.glob("*.parquet"))
    other = uri.parent / "other"
    append_batch(other, FIRST.slice(0, 2), {}, "key")
    shutil.copy(next(other.glob("*.parquet")), file)
    with pytest.raises(SluiceError):
        change(uri, CHANGES["widen"])
    assert latest_version(uri, "shop") == 0


def test_what_a_killed_writer_left_is_removed(uri: Path) -> None:
    left = uri.with_name(f".{uri.name}-rewritten")
    append_batch(left, FIRST, {}, "key")
    assert change(uri, CHANGES["widen"]).rows == 3
    assert not left.exists()


def test_the_librarys_checkpoint_has_the_change(uri: Path) -> None:
    change(uri, CHANGES["rename"], CHANGES["widen"])
    before = [read_version(uri, "shop", version, "key") for version in range(3)]
    DeltaTable(str(uri)).create_checkpoint()
    batch = pa.table({"key": [9], "size": [1.5], "word": ["z"]})
    append_batch(uri, batch, {"source": "b.csv"}, "key")
    assert [read_version(uri, "shop", version, "key") for version in range(3)] == before
    assert read_version(uri, "shop", 3, "key")[0].num_rows == 4
