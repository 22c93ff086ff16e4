"""Take what a source holds into a service's table or into quarantine, and announce it."""

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
"""What the watermark of a service's own table is called."""


def announce_version(service: str, data: DataVersion) -> None:
    """Tell that this run wrote a version, unless another run told of it already.

    An event is a hint, so a control store that is away does not keep it back.
    """
    try:
        marks = prepare_control().watermarks
        seen = marks.find(service, VERSION)
        if seen.mark == f"v{data.version}":
            return
        told = seen.tell(f"v{data.version}", datetime.now(UTC))
        if not marks.move(seen, told):
            return
    except SluiceError as error:
        get_run_logger().warning("told, but not remembered as told: %s", error)
    publish_event(service, DATA_CHANGED, {"version": data.version, "rows": data.rows})


def announce_unanswered(config: ServiceConfig) -> str:
    """Tell of the newest version where no release answered it and no event told; say what was told.

    Empty where there was nothing to tell. Of two runs at once one tells.

    Raises:
        Fault: the table or the control store cannot be reached.
    """
    service, table = config.service, find_home().table(config.service)
    try:
        version = latest_version(table, service)
    except DataMissing:
        return ""
    control = prepare_control()
    seen = control.watermarks.find(service, VERSION)
    if seen == Watermark(service, VERSION, f"v{version}"):
        return ""
    key = name_data_cause(version, hash_service(config))
    answered = control.causes.find(service, DATA_CHANGED, key) is not None
    to = follow_change(seen, f"v{version}", answered, datetime.now(UTC))
    rows = 0 if to.announced is None else count_rows(table, version)
    if to == seen or not control.watermarks.move(seen, to) or to.announced is None:
        return ""
    publish_event(service, DATA_CHANGED, {"version": version, "rows": rows})
    return f"data version {version}{' again' if seen.mark == to.mark else ''}"


REFUSED = "refused "
"""Stands before what a watermark is of where its mark was refused, and not taken."""
SHOWN = 3
"""How many ids a warning names."""


@dataclass(frozen=True)
class ValidatedBatch:
    """A batch that was read and judged, and the version that already holds it, if one does.

    `rows` is the scratch file of the rows that are to be appended, judged against version
    `against` (-1: there was none).
    """

    delivery: Delivery
    rows: Path
    verdict: Verdict | None = None
    held_by: DataVersion | None = None
    against: int = -1


@contextmanager
def open_scratch() -> Iterator[Path]:
    """Give this run's scratch folder, which is gone when the block ends."""
    folder = find_home().workspace(f"ingest-{flow_run.id}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@effect
def find_deliveries(config: ServiceConfig, source: str) -> list[Delivery]:
    """Give what is to be taken in: the named file or table, else what the service's source has new.

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
    """Read a delivery, check its schema, judge its new rows; one that fails goes to quarantine.

    Rows that the table has just so are left out. Of a pull, rows that changed are left out as well;
    of a file, they go on to the gate, which refuses them.

    Raises:
        DataInvalid: it cannot be read as data, or its schema is not the service's.
        Fault: the source, the table or the control store cannot be reached.
    """
    log, home, data = get_run_logger(), find_home(), config.data
    batch, uri = _read(config, delivery), home.table(config.service)
    held = find_batch(uri, hash_content(batch))
    if held:
        log.info("%s is already in version %d: nothing to write", delivery.source, held.version)
        return _take_as_held(config, delivery, held)
    baseline, before = _read_latest(config)
    log.info("read %s: %s rows, schema as configured", delivery.source, f"{batch.num_rows:,}")
    batch = _leave_out_known(config, delivery, batch, baseline)
    if before and not batch.num_rows:
        log.info("%s has no new row: nothing to write", delivery.source)
        return _take_as_held(config, delivery, before)
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
    return ValidatedBatch(delivery, rows, verdict, None, before.version if before else -1)


@effect
def append_rows(config: ServiceConfig, batch: ValidatedBatch) -> DataVersion:
    """Append the very rows that were judged as the next version and tell that data changed.

    Raises:
        DataInvalid: the table has some of the ids since.
        StorageFull: no room; the table stays at its version.
        Fault: the table or the control store cannot be reached.
    """
    uri, name = find_home().table(config.service), Path(batch.delivery.source).name
    rows = read_kept(batch.rows)
    baseline, before = _read_moved_on(config, batch.against)
    if before:
        rows = _leave_out_known(config, batch.delivery, rows, baseline)
    if before and not rows.num_rows:
        data = before
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
    """Move the source's watermark on, so that the delivery is not taken again.

    Where another run moved it meanwhile, it stays: the worst is a second reading.

    Raises:
        Fault: the control store cannot be reached.
    """
    if delivery.what:
        seen = Watermark(service, delivery.what, delivery.before)
        prepare_control().watermarks.move(seen, seen.settle(delivery.mark))


def remember_refused(service: str, delivery: Delivery) -> None:
    """Keep the mark of what could not be read as data, so that it is not tried every time.

    Raises:
        Fault: the control store cannot be reached.
    """
    if delivery.what:
        marks = prepare_control().watermarks
        seen = marks.find(service, REFUSED + delivery.what)
        marks.move(seen, seen.settle(delivery.mark))


def _find_named(config: ServiceConfig, source: str) -> Delivery:
    """Give what a person named; where the service's own source has it too, it is remembered."""
    named = name_delivery(source)
    if config.source is not None and not isinstance(config.source, SqlSource):
        with suppress(SluiceError):  # what was named goes on, whatever is wrong with the other
            marks = prepare_control().watermarks.list_marks(config.service)
            found = list_deliveries(config.source, marks)
            return next((item for item in found if item.source == named.source), named)
    return named


def _read(config: ServiceConfig, delivery: Delivery) -> pa.Table:
    """Read a delivery; one that cannot be read as data is remembered.

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


def _read_moved_on(
    config: ServiceConfig, against: int
) -> tuple[pa.Table | None, DataVersion | None]:
    """Give the table where it moved on since a batch was judged; nothing where it did not."""
    with suppress(DataMissing):
        if latest_version(find_home().table(config.service), config.service) != against:
            return _read_latest(config)
    return None, None


def _take_as_held(config: ServiceConfig, delivery: Delivery, held: DataVersion) -> ValidatedBatch:
    remember_taken(config.service, delivery)
    return ValidatedBatch(delivery, Path(), None, held)


def _leave_out_known(
    config: ServiceConfig, delivery: Delivery, batch: pa.Table, before: pa.Table | None
) -> pa.Table:
    """Give the rows to judge and append, and say what was left out."""
    log, key = get_run_logger(), config.data.id
    novelty = compare_batch(batch, before, key)
    if novelty.known:
        log.info("%s rows are in the table already: left out", f"{novelty.known:,}")
    if not novelty.changed.num_rows:
        return novelty.fresh
    if not delivery.is_pull:
        return pa.concat_tables([novelty.fresh, novelty.changed])
    first = ", ".join(str(value) for value in novelty.changed[key][:SHOWN].to_pylist())
    log.warning(
        "%s rows have a %s that the table has with other values: left out, since a row never "
        "changes (first: %s); next: give a changed row an id of its own",
        f"{novelty.changed.num_rows:,}",
        key,
        first,
    )
    return novelty.fresh
