"""Versions of a table: written whole, read as written; a missing table is an error of its own."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from sluice.adapters.tables.delta import (
    append_batch,
    find_batch,
    latest_version,
    list_versions,
    read_version,
)
from sluice.data.version import hash_content
from sluice.errors import DataInvalid, DataMissing, DataUnavailable, StorageFull


def make_batch(start: int, rows: int = 5) -> pa.Table:
    keys = list(range(start, start + rows))
    return pa.table({"key": keys[::-1], "name": [f"row {key}" for key in keys[::-1]]})


@pytest.fixture
def uri(tmp_path: Path) -> Path:
    return tmp_path / "data" / "shop" / "table"


@pytest.fixture
def two(uri: Path) -> Path:
    append_batch(uri, make_batch(0), {"source": "a.csv"}, "key")
    append_batch(uri, make_batch(5), {"source": "b.csv"}, "key")
    return uri


def test_the_first_batch_is_version_zero(uri: Path) -> None:
    data = append_batch(uri, make_batch(0), {"source": "a.csv"}, "key")
    assert (data.version, data.rows) == (0, 5)
    assert data.content_hash == hash_content(make_batch(0))


def test_each_batch_is_a_version_and_old_ones_stay(two: Path) -> None:
    assert latest_version(two, "shop") == 1
    old, _ = read_version(two, "shop", 0, "key")
    new, data = read_version(two, "shop", 1, "key")
    assert old["key"].to_pylist() == list(range(5))
    assert new["key"].to_pylist() == list(range(10))
    assert data == list_versions(two, "shop")[1]


def test_a_versions_hash_does_not_depend_on_the_order_of_batches(tmp_path: Path) -> None:
    hashes = []
    for name, starts in (("one", (0, 5)), ("two", (5, 0))):
        for start in starts:
            data = append_batch(tmp_path / name / "table", make_batch(start), {}, "key")
        hashes.append((data.content_hash, data.schema_hash))
    assert hashes[0] == hashes[1]


def test_the_same_batch_again_writes_nothing(two: Path) -> None:
    again = append_batch(two, make_batch(0), {"source": "copy.csv"}, "key")
    assert again.version == 0
    assert latest_version(two, "shop") == 1


def test_a_batch_is_found_by_its_content(two: Path) -> None:
    found = find_batch(two, hash_content(make_batch(5)))
    assert found is not None
    assert found.version == 1
    assert find_batch(two, "0" * 64) is None


def test_nothing_is_found_before_the_first_batch(uri: Path) -> None:
    assert find_batch(uri, "0" * 64) is None


def test_the_commit_records_the_source(two: Path) -> None:
    from deltalake import DeltaTable

    assert [commit["source"] for commit in DeltaTable(str(two)).history()] == ["b.csv", "a.csv"]


def test_ids_that_the_table_has_are_refused_and_nothing_is_written(two: Path) -> None:
    with pytest.raises(DataInvalid, match=r"2 of 5 rows carry a key .* \(first: 9, 8\)"):
        append_batch(two, make_batch(8), {}, "key")
    assert latest_version(two, "shop") == 1


def test_another_schema_is_refused(two: Path) -> None:
    other = pa.table({"key": [99.5], "name": ["x"]})
    with pytest.raises(DataInvalid, match="another schema than the table: key: double, key: int64"):
        append_batch(two, other, {}, "key")


def test_no_data_yet_names_the_command(uri: Path) -> None:
    with pytest.raises(DataMissing, match="sluice ingest shop FILE"):
        latest_version(uri, "shop")


def test_a_quarantine_beside_it_is_no_table(uri: Path) -> None:
    (uri.parent / "quarantine").mkdir(parents=True)
    with pytest.raises(DataMissing):
        latest_version(uri, "shop")


@pytest.mark.parametrize("version", [-1, 2])
def test_a_version_that_does_not_exist_is_named_with_the_range(two: Path, version: int) -> None:
    with pytest.raises(DataMissing, match=f"no data version {version}; .* versions 0 to 1"):
        read_version(two, "shop", version)


def test_a_table_that_disappeared_is_an_infrastructure_error_and_may_return(two: Path) -> None:
    away = two.with_name("away")
    two.rename(away)
    for call in (
        lambda: latest_version(two, "shop"),
        lambda: read_version(two, "shop", 0),
        lambda: append_batch(two, make_batch(10), {}, "key"),
    ):
        with pytest.raises(DataUnavailable, match="cannot be found now"):
            call()
    away.rename(two)
    assert latest_version(two, "shop") == 1


def test_a_log_that_disappeared_is_an_infrastructure_error(two: Path) -> None:
    shutil.rmtree(two / "_delta_log")
    with pytest.raises(DataUnavailable):
        latest_version(two, "shop")


def test_a_lost_data_file_is_an_infrastructure_error(two: Path) -> None:
    next(two.glob("*.parquet")).unlink()
    with pytest.raises(DataUnavailable):
        read_version(two, "shop", 1)


def test_a_damaged_file_is_refused(two: Path) -> None:
    path = next(two.glob("*.parquet"))
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(DataInvalid, match="version 1: a file of the table is damaged"):
        read_version(two, "shop", 1)


def test_rows_that_differ_from_the_recorded_hash_are_refused(uri: Path) -> None:
    from deltalake import CommitProperties, write_deltalake

    facts = CommitProperties(custom_metadata={"contentHash": "0" * 64})
    write_deltalake(str(uri), make_batch(0), commit_properties=facts)
    with pytest.raises(DataInvalid, match="version 0 contains other rows than were written"):
        read_version(uri, "shop", 0)


def test_a_table_that_another_program_writes_can_be_read(uri: Path) -> None:
    from deltalake import write_deltalake

    write_deltalake(str(uri), make_batch(0))
    table, data = read_version(uri, "shop", 0, "key")
    assert data.content_hash == hash_content(table)
    assert append_batch(uri, make_batch(5), {}, "key").version == 1
    assert [found.version for found in list_versions(uri, "shop")] == [1]


def test_writers_wait_for_each_other(uri: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = [
            pool.submit(append_batch, uri, make_batch(5 * turn), {}, "key") for turn in range(4)
        ]
        versions = sorted(item.result().version for item in done)
    assert versions == [0, 1, 2, 3]
    assert read_version(uri, "shop", 3)[1].rows == 20


def test_only_one_of_two_writers_of_the_same_ids_succeeds(uri: Path) -> None:
    batches = [make_batch(0), make_batch(0).append_column("size", pa.array([1.0] * 5))]
    batches[1] = make_batch(0, 6)
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(append_batch, uri, batch, {}, "key") for batch in batches]
    errors = [item.exception() for item in done if item.exception()]
    assert [type(error) for error in errors] == [DataInvalid]
    assert latest_version(uri, "shop") == 0


FULL_DISK = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from sluice.adapters.tables.delta import append_batch
import deltalake
keys = list(range(1000, 40000))
batch = pa.table({"key": keys, "name": [f"row {key * 7919 % 99991}" for key in keys]})
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
append_batch(Path(sys.argv[1]), batch, {}, "key")
"""


def run_limited(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_full_disk_is_named_and_the_table_stays(two: Path) -> None:
    last = run_limited(FULL_DISK, str(two))
    assert StorageFull.__name__ in last
    assert "file sizes" in last
    assert read_version(two, "shop", latest_version(two, "shop"))[1].rows == 10


def test_a_full_disk_at_the_first_batch_leaves_no_table(uri: Path) -> None:
    assert StorageFull.__name__ in run_limited(FULL_DISK, str(uri))
    with pytest.raises(DataMissing):
        latest_version(uri, "shop")
    assert append_batch(uri, make_batch(0), {}, "key").version == 0


UNREADABLE = """
import ctypes, os, sys
from pathlib import Path
from sluice.adapters.tables.delta import latest_version
import deltalake
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
latest_version(Path(sys.argv[1]), "shop")
"""


def test_a_folder_without_permission_is_an_infrastructure_error(two: Path) -> None:
    for folder in (two, *list(two.parents)[:3]):
        folder.chmod(0o755)
    (two / "_delta_log").chmod(0)
    try:
        assert "DataUnavailable" in run_limited(UNREADABLE, str(two))
    finally:
        (two / "_delta_log").chmod(0o700)
