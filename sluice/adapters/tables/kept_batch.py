"""A batch that was judged, kept until it is appended: what was judged is what is written."""

from pathlib import Path

import pyarrow as pa

from sluice.adapters.storage import explain_os_error


def keep_batch(path: Path, table: pa.Table) -> None:
    """Write a batch to a scratch file; its folder is made.

    Raises:
        StorageFull: no room.
        DataUnavailable: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    except OSError as error:
        raise explain_os_error(error, f"scratch file {path}") from error


def read_kept(path: Path) -> pa.Table:
    """Read a batch back.

    Raises:
        DataUnavailable: the scratch file cannot be read.
    """
    try:
        with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as reader:
            return reader.read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise explain_os_error(error, f"scratch file {path}") from error
