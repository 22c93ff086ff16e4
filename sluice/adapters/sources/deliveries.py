"""Deliveries: what a service's source has that was not ingested yet, and how it is read."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from sluice.adapters.sources.delta import find_table, is_table, read_table
from sluice.adapters.sources.files import list_files
from sluice.adapters.tables.files import read_batch
from sluice.config.data import FilesSource, SourceConfig, SqlSource
from sluice.config.service import ServiceConfig
from sluice.data.arrival import Delivery
from sluice.data.schema import check_schema


def list_deliveries(
    source: SourceConfig, marks: Mapping[str, str], modified_before: float = float("inf")
) -> list[Delivery]:
    """Return the new deliveries of a source, oldest first; `marks` are the stored watermarks.

    Raises:
        ConfigInvalid: a database's URL is missing or wrong.
        DataInvalid: there is no such Delta table, or the database refuses the query.
        DataUnavailable: the source cannot be reached.
    """
    if isinstance(source, SqlSource):
        from sluice.adapters.sources.sql import find_rows, name_query

        rows = find_rows(source, marks.get(name_query(source), ""))
        return [rows] if rows else []
    if isinstance(source, FilesSource):
        found = list_files(source.path, modified_before)
    else:
        found = [find_table(source.uri, source.version)]
    found = [replace(item, previous_mark=marks.get(item.subject, "")) for item in found]
    return [item for item in found if item.mark != item.previous_mark]


def name_delivery(source: str) -> Delivery:
    """Return the delivery that a person named: a Delta table's folder or URL, else a file.

    Raises:
        DataInvalid: there is no such Delta table.
        DataUnavailable: the table cannot be reached.
    """
    place = source if "://" in source else str(Path(source).resolve())
    if is_table(place):
        return replace(find_table(place), subject="")
    return Delivery("files", place)


def read_delivery(delivery: Delivery, config: ServiceConfig) -> pa.Table:
    """Read a delivery as rows of the service's schema.

    Raises:
        DataInvalid: it cannot be read as data, or its schema is not the service's.
        DataUnavailable: it cannot be reached at present.
    """
    if delivery.kind == "files":
        return read_batch(Path(delivery.source), config.data)
    if delivery.kind == "delta":
        table = read_table(delivery.source, delivery.version)
        return check_schema(table, config.data, delivery.source)
    from sluice.adapters.sources.sql import read_rows

    assert isinstance(config.source, SqlSource)  # noqa: S101 - no other names a query
    return read_rows(config.source, delivery.previous_mark, config.data)
