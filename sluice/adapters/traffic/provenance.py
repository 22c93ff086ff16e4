"""Which labelled requests were taken into a service's data: a Delta table that only grows."""

from pathlib import Path

import pyarrow as pa

from sluice.adapters.storage import explain_os_error, open_locked
from sluice.adapters.traffic.log import read_log
from sluice.data.traffic.rows import PROVENANCE

KEY = ["request_id", "label"]


def read_provenance(uri: Path) -> pa.Table:
    """Return what became of each request; no rows where none was taken yet.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    found = read_log(uri, PROVENANCE.names)
    return PROVENANCE.empty_table() if found is None else found


def append_provenance(uri: Path, rows: pa.Table) -> int:
    """Append what the table does not have yet; return how many rows.

    A request whose label changed is appended again.

    Raises:
        StorageFull: the disk is full; the table does not change.
        DataUnavailable: the table cannot be reached.
    """
    from deltalake import write_deltalake
    from deltalake.exceptions import DeltaError

    try:
        with open_locked(uri.with_suffix(".lock")):
            known = read_provenance(uri).select(KEY)
            new = rows.join(known, KEY, join_type="left anti").select(PROVENANCE.names)
            if new.num_rows:
                write_deltalake(str(uri), new.cast(PROVENANCE), mode="append")
            return int(new.num_rows)
    except (OSError, DeltaError) as error:
        raise explain_os_error(error, f"table {uri}") from error
