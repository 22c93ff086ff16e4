"""A Delta table that another system writes: its state, and its rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from sluice.adapters.storage import explain_os_error
from sluice.data.arrival import NEWEST, Delivery
from sluice.errors import DataInvalid


def is_table(source: str) -> bool:
    """Return whether a path is the folder of a Delta table; every URL counts as one."""
    return "://" in source or (Path(source) / "_delta_log").is_dir()


def find_table(uri: str, version: int = NEWEST) -> Delivery:
    """Return the table's state as a delivery; its mark is the table's id and version.

    The id is part of it so that a table that was created again is recognised.

    Raises:
        DataInvalid: there is no Delta table, or not this version of it.
        DataUnavailable: it cannot be reached.
    """
    with _translate_errors(uri):
        opened = _open(uri, NEWEST)
        if version > opened.version():
            raise DataInvalid(f"{uri}: no version {version}; the newest is {opened.version()}")
        opened = opened if version == NEWEST else _open(uri, version)
        mark = f"table {opened.metadata().id} version {opened.version()}"
        return Delivery("delta", uri, f"delta {uri}", mark, version=opened.version())


def read_table(uri: str, version: int) -> pa.Table:
    """Return one version's rows unchanged.

    Raises:
        DataInvalid: there is no Delta table, or a file of it is damaged.
        DataUnavailable: it, or one of its files, cannot be reached.
    """
    with _translate_errors(uri):
        return _open(uri, version).to_pyarrow_table()


def _open(uri: str, version: int) -> Any:
    from deltalake import DeltaTable

    return DeltaTable(uri, version=None if version == NEWEST else version)


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
