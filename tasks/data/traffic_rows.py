"""A service's labelled traffic as a delivery, and the provenance of the rows that it becomes."""

import time
from pathlib import Path

from sluice.adapters.sources.traffic import KIND, read_training_rows
from sluice.adapters.tables.batches import keep_batch, read_kept
from sluice.adapters.traffic.provenance import append_provenance
from sluice.config.data import TrafficSource
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import Delivery
from sluice.data.batches.refusal import ReadRows
from sluice.home import find_home

PROVENANCE_FILE = "provenance.arrow"
"""In the scratch folder of the run, until its rows are in the table or in quarantine."""


def is_traffic(config: ServiceConfig, delivery: Delivery) -> bool:
    """Return whether a delivery is labelled traffic."""
    return delivery.kind == KIND and isinstance(config.source, TrafficSource)


def read_traffic(config: ServiceConfig, folder: Path) -> ReadRows:
    """Read labelled traffic as rows; their provenance is put into the run's scratch folder.

    Raises:
        DataInvalid: all requests lack a column; or none can be read, and there is no table yet.
        StorageFull: the disk is full.
        DataUnavailable: a table cannot be reached.
    """
    assert isinstance(config.source, TrafficSource)  # noqa: S101 - no other has such a delivery
    found = read_training_rows(config, config.source, find_home(), time.time())
    keep_batch(folder / PROVENANCE_FILE, found.provenance)
    return found.rows


def note_provenance(service: str, folder: Path) -> None:
    """Note what became of the requests, so that none is taken again.

    It comes after the rows are in the table or in quarantine: a run that dies in between reads the
    same requests again, and their rows are left out as known.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the table of provenance cannot be reached.
    """
    append_provenance(find_home().provenance(service), read_kept(folder / PROVENANCE_FILE))
