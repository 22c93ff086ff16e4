"""Rows of a delivery that are refused one by one, reported and kept with a way back in."""

import pyarrow as pa
from prefect import get_run_logger

from sluice.adapters.tables.refused_rows import keep_refused_rows
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import Delivery
from sluice.data.batches.refusal import ReadRows
from sluice.home import find_home

SHOWN = 5
"""Most refused rows that the log describes; the file has all."""


def take_readable(config: ServiceConfig, delivery: Delivery, found: ReadRows) -> pa.Table:
    """Return the rows that could be read, after the refused ones are kept and reported.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the folder of refused rows cannot be reached.
    """
    log = get_run_logger()
    for note in found.notes:
        log.info("%s: %s", delivery.source, note)
    if not found.refused:
        return found.table
    folder = find_home().refused_rows(config.service)
    delimiter = config.data.reading.delimiter
    path = keep_refused_rows(folder, found, delimiter, delivery.source)
    log.error(
        "%s of %s rows are refused, because a cell of theirs cannot be read:",
        f"{len(found.refused):,}",
        f"{len(found.refused) + found.table.num_rows:,}",
    )
    for cell in found.refused[:SHOWN]:
        log.error("%s: %s", delivery.source, cell.describe())
    log.error("once repaired: sluice ingest %s %s", config.service, path)
    return found.table
