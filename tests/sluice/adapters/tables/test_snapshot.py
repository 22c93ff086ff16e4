"""A release's copy of its rows: every later step reads the checked rows."""

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from sluice.adapters.tables.delta import append_batch, read_version
from sluice.adapters.tables.snapshot import keep_version, read_once
from sluice.errors import DataMissing, DataUnavailable

ROWS = pa.table({"key": [3, 1, 2], "name": ["c", None, "ä"], "share": [0.1, None, float("nan")]})
FULL = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from sluice.adapters.tables.snapshot import keep_version
from sluice.data.version import DataVersion
from sluice.errors import StorageFull
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = Path(sys.argv[1])
try:
    keep_version(folder, pa.table({"key": list(range(10_000))}), DataVersion("u", 0, 1, "s", "c"))
except StorageFull:
    print("full", [path.name for path in folder.iterdir()])
"""


@pytest.fixture
def uri(tmp_path: Path) -> Path:
    table = tmp_path / "data" / "shop" / "table"
    append_batch(table, ROWS, {"source": "a.csv"}, "key")
    return table


def read(folder: Path, uri: Path) -> tuple[pa.Table, object]:
    return read_once(folder, uri, "shop", 0, "key")


def test_the_copy_has_the_rows_of_the_table(uri: Path, tmp_path: Path) -> None:
    table, data = read_version(uri, "shop", 0, "key")
    for _ in range(2):
        copied, facts = read(tmp_path / "work", uri)
        assert facts == data
        assert copied.schema.equals(table.schema, check_metadata=True)
        assert str(copied.to_pydict()) == str(table.to_pydict())


def test_the_copy_is_read_when_the_table_disappears(uri: Path, tmp_path: Path) -> None:
    first, _ = read(tmp_path / "work", uri)
    shutil.rmtree(uri)
    again, _ = read(tmp_path / "work", uri)
    assert str(again.to_pydict()) == str(first.to_pydict())


@pytest.mark.parametrize("content", [b"", b"ARROW1 and nothing else"])
def test_a_damaged_copy_is_written_again(uri: Path, tmp_path: Path, content: bytes) -> None:
    first, data = read(tmp_path / "work", uri)
    copy = next((tmp_path / "work").iterdir())
    copy.write_bytes(content)
    again, facts = read(tmp_path / "work", uri)
    assert str(again.to_pydict()) == str(first.to_pydict())
    assert facts == data
    assert copy.stat().st_size > len(content)


def test_a_missing_version_is_refused(uri: Path, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no data version 7"):
        read_once(tmp_path / "work", uri, "shop", 7, "key")


def test_a_folder_that_cannot_be_created_is_an_infrastructure_error(
    uri: Path, tmp_path: Path
) -> None:
    (tmp_path / "work").write_text("a file stands in the way")
    with pytest.raises(DataUnavailable, match="copy of data version 0"):
        keep_version(tmp_path / "work", *read_version(uri, "shop", 0, "key"))


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "full []"
