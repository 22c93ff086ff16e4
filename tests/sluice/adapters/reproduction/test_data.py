"""Data versions whose files are gone are told apart from tables that are away."""

from pathlib import Path

import pyarrow as pa
import pytest

from sluice.adapters.reproduction.data import require_files
from sluice.adapters.tables.delta import append_batch, open_table
from sluice.errors import DataMissing, DataUnavailable, DataVacuumed


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of two versions, a file each."""
    uri = tmp_path / "churn" / "table"
    for first in (0, 10):
        append_batch(uri, pa.table({"id": list(range(first, first + 10))}), {}, "id")
    return uri


def test_versions_whose_files_are_there_pass(table: Path) -> None:
    for version in (0, 1):
        require_files(table, "churn", version)


def test_a_vacuumed_version_is_named_and_others_still_pass(table: Path) -> None:
    """Rewritten into one file and vacuumed, only the newest version can still be read."""
    from deltalake import write_deltalake

    rows = open_table(table).to_pyarrow_table()
    opened = open_table(table)
    opened.alter.set_table_properties({"delta.appendOnly": "false"})
    write_deltalake(str(table), rows, mode="overwrite")
    newest = open_table(table)
    newest.vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(DataVacuumed, match="data version 1: 2 of its 2 files were deleted"):
        require_files(table, "churn", 1)
    require_files(table, "churn", newest.version())


def test_a_log_that_was_cleaned_up_is_named(table: Path) -> None:
    open_table(table).create_checkpoint()
    (table / "_delta_log" / f"{0:020}.json").unlink()
    with pytest.raises(DataVacuumed, match="not in the table's log any more"):
        require_files(table, "churn", 0)


def test_a_version_that_never_was_is_missing(table: Path) -> None:
    with pytest.raises(DataMissing, match="no data version 7; the table ends at version 1"):
        require_files(table, "churn", 7)


def test_a_table_that_is_away_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="next: mount or restore it"):
        require_files(tmp_path / "churn" / "table", "churn", 0)
