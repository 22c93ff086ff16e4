"""Deliveries: what a service's source has that was not ingested yet, and how it is read."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sluice.adapters.sources.delta import find_table, is_table, read_table
from sluice.adapters.sources.files import list_files
from sluice.adapters.tables.files import read_rows
from sluice.config.data import FilesSource, SqlSource, TrafficSource
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import Delivery
from sluice.data.batches.refusal import ReadRows
from sluice.data.schema import cast_rows
from sluice.home import Home


def list_deliveries(
    config: ServiceConfig,
    home: Home,
    marks: Mapping[str, str],
    now: float,
    settled_seconds: float | None = None,
) -> list[Delivery]:
    """Return the new deliveries of a service's source, oldest first; none where it has no source.

    `marks` are the stored watermarks. A watch gives `settled_seconds`: then files that somebody
    wrote to within this time before `now` (seconds since 1970) are left out, and so is labelled
    traffic of fewer requests than the source's `batch_rows`.

    Raises:
        ConfigInvalid: a database's URL is missing or wrong.
        DataInvalid: there is no such Delta table, or the database refuses the query.
        DataUnavailable: the source cannot be reached.
    """
    source, is_watch = config.source, settled_seconds is not None
    if source is None:
        return []
    if isinstance(source, TrafficSource):
        from sluice.adapters.sources.traffic import KIND as TRAFFIC
        from sluice.adapters.sources.traffic import find_labelled

        fewest = source.batch_rows if is_watch else 1
        labelled = find_labelled(config, source, home, marks.get(TRAFFIC, ""), now, fewest)
        return [labelled] if labelled else []
    if isinstance(source, SqlSource):
        from sluice.adapters.sources.sql import find_rows, name_query

        rows = find_rows(source, marks.get(name_query(source), ""))
        return [rows] if rows else []
    if isinstance(source, FilesSource):
        before = now - settled_seconds if settled_seconds is not None else float("inf")
        found = list_files(source.path, before)
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


def read_delivery(delivery: Delivery, config: ServiceConfig) -> ReadRows:
    """Read a delivery as rows of the service's schema, without those with a cell that is no time.

    Raises:
        DataInvalid: it cannot be read as data, or its schema is not the service's.
        DataUnavailable: it cannot be reached at present.
    """
    if delivery.kind == "files":
        return read_rows(Path(delivery.source), config.data)
    if delivery.kind == "delta":
        table = read_table(delivery.source, delivery.version)
        return cast_rows(table, config.data, delivery.source)
    from sluice.adapters.sources.sql import read_rows as read_result

    assert isinstance(config.source, SqlSource)  # noqa: S101 - no other names a query
    return read_result(config.source, delivery.previous_mark, config.data)
