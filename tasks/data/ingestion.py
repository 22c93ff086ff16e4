"""Ingestion of a source's deliveries into a service's table or quarantine, and announcements."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from prefect import get_run_logger
from prefect.runtime import flow_run

from sluice.adapters.sources.deliveries import list_deliveries, name_delivery, read_delivery
from sluice.adapters.tables.batches import keep_batch, quarantine_batch, read_kept
from sluice.adapters.tables.delta import (
    append_batch,
    count_rows,
    find_batch,
    latest_version,
    read_version,
)
from sluice.adapters.validation.expectations import measure_data
from sluice.config.data import SqlSource
from sluice.config.loading import hash_service
from sluice.config.service import ServiceConfig
from sluice.control.cause import DATA_CHANGED, name_data_cause
from sluice.control.watermark import Watermark, follow_change
from sluice.data.arrival import Delivery, compare_batch
from sluice.data.version import DataVersion, hash_content
from sluice.errors import ConfigInvalid, DataInvalid, DataMissing, SluiceError
from sluice.gates.data import DataGate
from sluice.home import find_home
from sluice.verdict import Verdict
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.leases import prepare_control

VERSION = "data version"
"""Subject of the watermark of a service's own table."""
REFUSED = "refused "
"""Prefix of a watermark's subject where its mark was refused and not ingested."""
SHOWN = 3
"""Most ids that a warning names."""


@dataclass(frozen=True)
class ValidatedBatch:
    """A batch that was read and judged.

    `rows` is the scratch file of the rows to append, which were judged against version
    `baseline_version` (-1: there was none). `existing` is the version that already has the
    batch's rows.
    """

    delivery: Delivery
    rows: Path
    verdict: Verdict | None = None
    existing: DataVersion | None = None
    baseline_version: int = -1


@contextmanager
def open_scratch() -> Iterator[Path]:
    """Yield this run's scratch folder, which is removed when the block ends."""
    folder = find_home().workspace(f"ingest-{flow_run.id}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@effect
def find_deliveries(config: ServiceConfig, source: str) -> list[Delivery]:
    """Return the deliveries to ingest: the named file or table, else the source's new ones.

    Raises:
        ConfigInvalid: nothing was named and the service has no source, or its URL is missing.
        DataInvalid: there is no such table, or the database refuses the query.
        Fault: the source or the control store cannot be reached.
    """
    if source:
        return [_find_named(config, source)]
    if config.source is None:
        raise ConfigInvalid(
            f"{config.service}: no file was named and its configuration has no `source`; next: "
            f"sluice ingest {config.service} FILE, or write `source:` into its YAML"
        )
    return list_deliveries(config.source, prepare_control().watermarks.list_marks(config.service))


@effect
def validate_batch(config: ServiceConfig, delivery: Delivery, folder: Path) -> ValidatedBatch:
    """Read a delivery, check its schema, judge its new rows; a failed batch is quarantined.

    Rows that the table already has are left out. Changed rows are left out too where the delivery
    is a pull; those of a file go to the gate, which refuses them.

    Raises:
        DataInvalid: it cannot be read as data, or its schema is not the service's.
        Fault: the source, the table or the control store cannot be reached.
    """
    log, home, data = get_run_logger(), find_home(), config.data
    batch, uri = _read_batch(config, delivery), home.table(config.service)
    existing = find_batch(uri, hash_content(batch))
    if existing:
        log.info("%s is in version %d already: nothing to write", delivery.source, existing.version)
        return _skip_existing(config, delivery, existing)
    baseline, previous = _read_latest(config)
    log.info("read %s: %s rows, schema as configured", delivery.source, f"{batch.num_rows:,}")
    batch = _leave_out_known(config, delivery, batch, baseline)
    if previous and not batch.num_rows:
        log.info("%s has no new rows: nothing to write", delivery.source)
        return _skip_existing(config, delivery, previous)
    evidence = measure_data(config, batch, baseline, f"ingest-{config.service}")
    verdict = DataGate(data).judge(evidence)
    rows = folder / "batch.arrow"
    keep_batch(rows, batch)
    if not verdict.passed:
        refused = home.quarantine(config.service)
        where = quarantine_batch(refused, batch, verdict, evidence.bad_rows, delivery.source)
        log.error("quarantined: %s", where)
        log.error("once repaired: sluice ingest %s %s", config.service, where / "batch.parquet")
        remember_taken(config.service, delivery)
    baseline_version = previous.version if previous else -1
    return ValidatedBatch(delivery, rows, verdict, None, baseline_version)


@effect
def append_rows(config: ServiceConfig, batch: ValidatedBatch) -> DataVersion:
    """Append the judged rows as the next version, and emit the event that data changed.

    Raises:
        DataInvalid: the table has got some of the ids meanwhile.
        StorageFull: the disk is full; the table stays at its version.
        Fault: the table or the control store cannot be reached.
    """
    uri, name = find_home().table(config.service), Path(batch.delivery.source).name
    rows = read_kept(batch.rows)
    baseline, previous = _read_changed(config, batch.baseline_version)
    if previous:
        rows = _leave_out_known(config, batch.delivery, rows, baseline)
    if previous and not rows.num_rows:
        data = previous
    else:
        data = append_batch(uri, rows, {"source": name}, config.data.id)
    get_run_logger().info(
        "%s is data version %d of %s, %s rows in all",
        name,
        data.version,
        config.service,
        f"{data.rows:,}",
    )
    remember_taken(config.service, batch.delivery)
    announce_version(config.service, data)
    return data


def remember_taken(service: str, delivery: Delivery) -> None:
    """Move the source's watermark, so that the delivery is not ingested again.

    It stays where another run moved it meanwhile; at worst a delivery is read twice.

    Raises:
        Fault: the control store cannot be reached.
    """
    if delivery.subject:
        watermark = Watermark(service, delivery.subject, delivery.previous_mark)
        prepare_control().watermarks.move(watermark, watermark.settle(delivery.mark))


def remember_refused(service: str, delivery: Delivery) -> None:
    """Store the mark of a delivery that is not valid data, so that it is not read every time.

    Raises:
        Fault: the control store cannot be reached.
    """
    if delivery.subject:
        marks = prepare_control().watermarks
        watermark = marks.find(service, REFUSED + delivery.subject)
        marks.move(watermark, watermark.settle(delivery.mark))


def announce_version(service: str, data: DataVersion) -> None:
    """Emit the event of a version that this run wrote, unless another run emitted it.

    The event is emitted even if the control store cannot be reached.
    """
    try:
        marks = prepare_control().watermarks
        watermark = marks.find(service, VERSION)
        if watermark.mark == f"v{data.version}":
            return
        moved = watermark.announce(f"v{data.version}", datetime.now(UTC))
        if not marks.move(watermark, moved):
            return
    except SluiceError as error:
        get_run_logger().warning("announced, but the watermark was not stored: %s", error)
    publish_event(service, DATA_CHANGED, {"version": data.version, "rows": data.rows})


def announce_unhandled(config: ServiceConfig) -> str:
    """Emit the event of the newest version that no release handled; return what was announced.

    Empty where there is nothing to announce. Of two runs at the same time only one emits it.

    Raises:
        Fault: the table or the control store cannot be reached.
    """
    service, table = config.service, find_home().table(config.service)
    try:
        version = latest_version(table, service)
    except DataMissing:
        return ""
    control = prepare_control()
    watermark = control.watermarks.find(service, VERSION)
    if watermark == Watermark(service, VERSION, f"v{version}"):
        return ""
    key = name_data_cause(version, hash_service(config))
    handled = control.causes.find(service, DATA_CHANGED, key) is not None
    target = follow_change(watermark, f"v{version}", handled, datetime.now(UTC))
    rows = 0 if target.announced is None else count_rows(table, version)
    if (
        target == watermark
        or not control.watermarks.move(watermark, target)
        or target.announced is None
    ):
        return ""
    publish_event(service, DATA_CHANGED, {"version": version, "rows": rows})
    return f"data version {version}{' again' if watermark.mark == target.mark else ''}"


def _find_named(config: ServiceConfig, source: str) -> Delivery:
    """Return the named delivery; one of the service's own source, so that its mark is stored."""
    named = name_delivery(source)
    if config.source is not None and not isinstance(config.source, SqlSource):
        with suppress(SluiceError):  # an error of the source does not stop the named delivery
            marks = prepare_control().watermarks.list_marks(config.service)
            found = list_deliveries(config.source, marks)
            return next((item for item in found if item.source == named.source), named)
    return named


def _read_batch(config: ServiceConfig, delivery: Delivery) -> pa.Table:
    """Read a delivery; the mark of one that is not valid data is stored.

    Raises:
        DataInvalid: it cannot be read as data, or its schema is not the service's.
        Fault: it cannot be reached.
    """
    try:
        return read_delivery(delivery, config)
    except DataInvalid:
        remember_refused(config.service, delivery)
        raise


def _read_latest(config: ServiceConfig) -> tuple[pa.Table | None, DataVersion | None]:
    uri = find_home().table(config.service)
    try:
        version = latest_version(uri, config.service)
        return read_version(uri, config.service, version, config.data.id)
    except DataMissing:
        return None, None


def _read_changed(
    config: ServiceConfig, baseline_version: int
) -> tuple[pa.Table | None, DataVersion | None]:
    """Return the table if it changed since a batch was judged, else nothing."""
    with suppress(DataMissing):
        if latest_version(find_home().table(config.service), config.service) != baseline_version:
            return _read_latest(config)
    return None, None


def _skip_existing(
    config: ServiceConfig, delivery: Delivery, existing: DataVersion
) -> ValidatedBatch:
    remember_taken(config.service, delivery)
    return ValidatedBatch(delivery, Path(), None, existing)


def _leave_out_known(
    config: ServiceConfig, delivery: Delivery, batch: pa.Table, previous: pa.Table | None
) -> pa.Table:
    """Return the rows to judge and append, and log which rows were left out."""
    log, key = get_run_logger(), config.data.id
    compared = compare_batch(batch, previous, key)
    if compared.known:
        log.info("%s rows are in the table already: left out", f"{compared.known:,}")
    if not compared.changed.num_rows:
        return compared.fresh
    if not delivery.is_pull:
        return pa.concat_tables([compared.fresh, compared.changed])
    first = ", ".join(str(value) for value in compared.changed[key][:SHOWN].to_pylist())
    log.warning(
        "%s rows have a %s that the table has with other values: left out, because a row never "
        "changes (first: %s); next: give a changed row a new id",
        f"{compared.changed.num_rows:,}",
        key,
        first,
    )
    return compared.fresh
