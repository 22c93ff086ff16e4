"""A Delta table that another system writes: its state, and its rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from sluice.adapters.storage import explain_os_error
from sluice.data.batches.arrival import NEWEST, Delivery
from sluice.errors import DataInvalid

NEXT_STEPS = {
    "deletionVectors": "at the writer, ALTER TABLE ... SET TBLPROPERTIES "
    "('delta.enableDeletionVectors' = false), REORG TABLE ... APPLY (PURGE), and "
    "ALTER TABLE ... DROP FEATURE deletionVectors",
}
"""What the writer of a table can do, for each feature of Delta that cannot be read."""


def is_table(source: str) -> bool:
    """Return whether a path is the folder of a Delta table; every URL counts as one."""
    return "://" in source or (Path(source) / "_delta_log").is_dir()


def find_table(uri: str, version: int = NEWEST) -> Delivery:
    """Return the table's state as a delivery; its mark is the table's id and version.

    The id is part of it so that a table that was created again is recognised.

    Raises:
        DataInvalid: there is no Delta table, or not this version of it; or it has a feature that
            cannot be read, such as deletion vectors.
        DataUnavailable: it cannot be reached.
    """
    with _translate_errors(uri):
        opened = _open(uri, NEWEST)
        if version > opened.version():
            raise DataInvalid(f"{uri}: no version {version}; the newest is {opened.version()}")
        opened = opened if version == NEWEST else _open(uri, version)
        _check_features(uri, opened)
        mark = f"table {opened.metadata().id} version {opened.version()}"
        return Delivery("delta", uri, f"delta {uri}", mark, version=opened.version())


def read_table(uri: str, version: int) -> pa.Table:
    """Return one version's rows unchanged.

    Raises:
        DataInvalid: there is no Delta table, a file of it is damaged, or it has a feature that
            cannot be read.
        DataUnavailable: it, or one of its files, cannot be reached.
    """
    with _translate_errors(uri):
        opened = _open(uri, version)
        _check_features(uri, opened)
        return opened.to_pyarrow_table()


def open_dataset(uri: str, version: int) -> Any:
    """Return one version's files as an Arrow dataset, of which parts can be read.

    Raises:
        DataInvalid: there is no Delta table, or it has a feature that cannot be read.
        DataUnavailable: it cannot be reached.
    """
    with _translate_errors(uri):
        opened = _open(uri, version)
        _check_features(uri, opened)
        return opened.to_pyarrow_dataset()


def _open(uri: str, version: int) -> Any:
    from deltalake import DeltaTable

    return DeltaTable(uri, version=None if version == NEWEST else version)


def _check_features(uri: str, opened: Any) -> None:
    """Check that the table's rows can be read as its writer means them.

    Raises:
        DataInvalid: it has a feature that we cannot read.
    """
    from deltalake.table import SUPPORTED_READER_FEATURES

    found = sorted(set(opened.protocol().reader_features or ()) - set(SUPPORTED_READER_FEATURES))
    if found:
        allowed = ", ".join(sorted(SUPPORTED_READER_FEATURES))
        steps = NEXT_STEPS.get(found[0], "read it with a SQL source, or export it to Parquet")
        raise DataInvalid(
            f"{uri}: found a table with {', '.join(found)}, which cannot be read; allowed: tables "
            f"without reader features, or with {allowed}; next: {steps}"
        )


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    """Translate errors of the file system, the network and Delta into our errors.

    Raises:
        DataInvalid: there is no such table, or a file is damaged.
    """
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        yield
    except (TableNotFoundError, pa.ArrowInvalid) as error:
        raise DataInvalid(f"{uri}: {str(error).splitlines()[0][:200]}") from error
    except (OSError, DeltaError) as error:
        raise explain_os_error(error, f"table {uri}") from error
