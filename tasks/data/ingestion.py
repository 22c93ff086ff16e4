"""Ingestion of a source's deliveries into a service's table or quarantine, and announcements."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
from prefect import get_run_logger
from prefect.runtime import flow_run

from sluice.adapters.control.store import prepare_control
from sluice.adapters.sources.deliveries import list_deliveries, name_delivery, read_delivery
from sluice.adapters.tables.batches import keep_batch, quarantine_batch, read_kept
from sluice.adapters.tables.delta import (
    append_batch,
    count_rows,
    find_batch,
    latest_version,
    list_versions,
    read_version,
)
from sluice.adapters.tables.quarantine import BATCH, read_exceptions
from sluice.adapters.telemetry.lineage import name_file
from sluice.adapters.validation.expectations import measure_data
from sluice.config.data import DeltaSource, FilesSource
from sluice.config.loading import hash_service
from sluice.config.service import ServiceConfig
from sluice.control.cause import DATA_CHANGED, name_data_cause
from sluice.control.watermark import Watermark, follow_change
from sluice.data.batches.arrival import Delivery, EarlierBatches, compare_batch
from sluice.data.batches.exceptions import split_bad_rows
from sluice.data.batches.quarantine import SHOWN as SHOWN_CHARACTERS
from sluice.data.version import DataVersion, hash_content
from sluice.errors import (
    ConfigInvalid,
    DataInvalid,
    DataMissing,
    GateFailed,
    Refused,
    SchemaDiffers,
    SluiceError,
)
from sluice.gates.data import DataEvidence, DataGate
from sluice.home import find_home
from sluice.verdict import Verdict
from tasks.data.quarantine import leave_out_refused
from tasks.data.refused_rows import take_readable
from tasks.data.schema import advise_change, check_table
from tasks.data.traffic_rows import is_traffic, note_provenance, read_traffic
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.lineage import name_table, note_input, note_output

VERSION = "data version"
"""Subject of the watermark of a service's own table."""
REFUSED = "refused "
"""Prefix of a watermark's subject where its mark was refused and not ingested."""
MOST_BAD, FEW_BAD = 0.1, 5
"""Largest share of bad rows, and number in a small batch, that are quarantined without the rest."""
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


class IngestOutcome:
    """How the deliveries of one run ended: the last result, and the first refusal."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self.refusal: Refused | GateFailed | None = None

    @contextmanager
    def isolate_refusal(self) -> Iterator[None]:
        """Keep the refusal of one delivery from the next; all but the first are logged."""
        try:
            yield
        except (Refused, GateFailed) as error:
            if self.refusal is not None:
                get_run_logger().error("%s: %s", type(error).__name__, error)
            self.refusal = self.refusal or error

    def end(self) -> dict[str, Any]:
        """Return the result of the last delivery that was ingested.

        Raises:
            GateFailed: the first delivery that was refused broke a rule.
            Refused: it could not be read as the service's data.
        """
        if self.refusal is not None:
            raise self.refusal
        return self.result


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
    marks = prepare_control().watermarks.list_marks(config.service)
    return list_deliveries(config, find_home(), marks, time.time())


@effect
def validate_batch(config: ServiceConfig, delivery: Delivery, folder: Path) -> ValidatedBatch:
    """Read a delivery, check its schema, judge its new rows; a failed batch is quarantined.

    Rows that the table already has are left out. Changed rows are left out too where the delivery
    is a pull; those of a file go to the gate, which refuses them.

    Raises:
        DataInvalid: it cannot be read as data, or its schema is not the service's.
        Fault: the source, the table or the control store cannot be reached.
    """
    log = get_run_logger()
    note_input(name_file(delivery.source))
    check_table(config)
    batch, uri = _read_batch(config, delivery, folder), find_home().table(config.service)
    existing = find_batch(uri, hash_content(batch))
    if existing:
        log.info("%s is in version %d already: nothing to write", delivery.source, existing.version)
        return _skip_existing(config, delivery, existing, folder)
    baseline, previous = _read_latest(config)
    log.info("read %s: %s rows, schema as configured", delivery.source, f"{batch.num_rows:,}")
    batch = _leave_out_known(config, delivery, batch, baseline)
    if baseline is not None and batch.num_rows:
        batch = _leave_out_refused(config, delivery, batch, baseline)
    if previous and not batch.num_rows:
        log.info("%s has no new rows: nothing to write", delivery.source)
        return _skip_existing(config, delivery, previous, folder)
    batch, verdict = _admit_rows(config, delivery, batch, baseline)
    rows = folder / "batch.arrow"
    keep_batch(rows, batch)
    if not verdict.passed:
        remember_taken(config, delivery, folder)
    baseline_version = previous.version if previous else -1
    return ValidatedBatch(delivery, rows, verdict, None, baseline_version)


@effect
def append_rows(config: ServiceConfig, batch: ValidatedBatch, announce: bool = True) -> DataVersion:
    """Append the judged rows as the next version, and emit the event that data changed.

    Without `announce` no event is emitted: the caller releases the data. `watch` announces it
    where no release has handled it half an hour later.

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
    table = name_table(config.service, data.version, data.rows, config.data.columns)
    note_output(table)
    get_run_logger().info(
        "%s is data version %d of %s, %s rows in all",
        name,
        data.version,
        config.service,
        f"{data.rows:,}",
    )
    remember_taken(config, batch.delivery, batch.rows.parent)
    announce_version(config.service, data, announce)
    return data


def remember_taken(config: ServiceConfig, delivery: Delivery, folder: Path) -> None:
    """Move the source's watermark, so that the delivery is not ingested again.

    It stays where another run moved it meanwhile; at worst a delivery is read twice. Of labelled
    traffic the provenance is noted first; `folder` is the run's scratch folder.

    Raises:
        Fault: the control store cannot be reached.
    """
    if is_traffic(config, delivery):
        note_provenance(config.service, folder)
    if delivery.subject:
        watermark = Watermark(config.service, delivery.subject, delivery.previous_mark)
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


def announce_version(service: str, data: DataVersion, emit: bool = True) -> None:
    """Emit the event of a version that this run wrote, unless another run emitted it.

    The event is emitted even if the control store cannot be reached. Without `emit` the version
    only counts as announced.
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
    if emit:
        publish_event(service, DATA_CHANGED, {"version": data.version, "rows": data.rows})


@dataclass(frozen=True)
class Announcement:
    """What is to be done about the newest version: its watermark as read, and as it shall be."""

    version: int
    seen: Watermark
    target: Watermark

    @property
    def is_due(self) -> bool:
        """Whether an event is to be emitted."""
        return self.target.announced is not None


def find_announcement(config: ServiceConfig) -> Announcement | None:
    """Return what is to be done about the newest version; None if there is nothing.

    Raises:
        Fault: the table or the control store cannot be reached.
    """
    service, table = config.service, find_home().table(config.service)
    try:
        version = latest_version(table, service)
    except DataMissing:
        return None
    control = prepare_control()
    seen = control.watermarks.find(service, VERSION)
    if seen == Watermark(service, VERSION, f"v{version}"):
        return None
    key = name_data_cause(version, hash_service(config))
    handled = control.causes.find(service, DATA_CHANGED, key) is not None
    if "data" not in config.retrain.when:  # announced once, for other listeners
        handled = handled or seen.mark == f"v{version}"
    target = follow_change(seen, f"v{version}", handled, datetime.now(UTC))
    return None if target == seen else Announcement(version, seen, target)


def announce_unhandled(config: ServiceConfig) -> str:
    """Emit the event of the newest version that no release handled; return what was announced.

    Empty where there is nothing to announce. Of two runs at the same time only one emits it.

    Raises:
        Fault: the table or the control store cannot be reached.
    """
    found, service = find_announcement(config), config.service
    if found is None:
        return ""
    version = found.version
    rows = count_rows(find_home().table(service), version) if found.is_due else 0
    moved = prepare_control().watermarks.move(found.seen, found.target)
    if not moved or not found.is_due:
        return ""
    publish_event(service, DATA_CHANGED, {"version": version, "rows": rows})
    return f"data version {version}{' again' if found.seen.mark == found.target.mark else ''}"


def _find_named(config: ServiceConfig, source: str) -> Delivery:
    """Return the named delivery; one of the service's own source, so that its mark is stored."""
    named = name_delivery(source)
    if isinstance(config.source, FilesSource | DeltaSource):
        with suppress(SluiceError):  # an error of the source does not stop the named delivery
            marks = prepare_control().watermarks.list_marks(config.service)
            found = list_deliveries(config, find_home(), marks, time.time())
            return next((item for item in found if item.source == named.source), named)
    return named


def _read_batch(config: ServiceConfig, delivery: Delivery, folder: Path) -> pa.Table:
    """Read a delivery; the mark of one that is not valid data is stored.

    Raises:
        DataInvalid: it cannot be read as data, or its schema is not the service's.
        Fault: it cannot be reached.
    """
    try:
        is_own = is_traffic(config, delivery)
        found = read_traffic(config, folder) if is_own else read_delivery(delivery, config)
    except DataInvalid as error:
        remember_refused(config.service, delivery)
        if isinstance(error, SchemaDiffers):
            raise advise_change(config, delivery, error) from error
        raise
    return take_readable(config, delivery, found)


def _read_latest(config: ServiceConfig) -> tuple[pa.Table | None, DataVersion | None]:
    uri = find_home().table(config.service)
    try:
        version = latest_version(uri, config.service)
        return read_version(uri, config.service, version, config.data.id)
    except DataMissing:
        return None, None


def _admit_rows(
    config: ServiceConfig, delivery: Delivery, batch: pa.Table, baseline: pa.Table | None
) -> tuple[pa.Table, Verdict]:
    """Judge a batch; return the rows to append and their verdict. What is refused is quarantined.

    With `on_bad_rows: quarantine_rows` a few bad rows are quarantined alone, if the others pass.
    """
    evidence, verdict = _judge(config, delivery, batch, baseline)
    if verdict.passed:
        return batch, verdict
    good, bad = split_bad_rows(batch, evidence.bad_rows, config.data.id)
    is_few = 0 < bad.num_rows <= max(FEW_BAD, MOST_BAD * batch.num_rows)
    if config.data.on_bad_rows == "quarantine_rows" and is_few and good.num_rows:
        _, others = _judge(config, delivery, good, baseline)
        if others.passed:
            where = _quarantine(config, delivery, bad, verdict, evidence)
            note = f"{bad.num_rows:,} of {batch.num_rows:,} rows are in quarantine: {where.name}"
            return good, replace(others, notices=(note, *others.notices))
    where = _quarantine(config, delivery, batch, verdict, evidence)
    get_run_logger().error("once repaired: sluice ingest %s %s", config.service, where / BATCH)
    step = f"{verdict.next_step}; as it is: {_name_acceptance(config.service, where)}"
    return batch, replace(verdict, next_step=step)


def _judge(
    config: ServiceConfig, delivery: Delivery, batch: pa.Table, baseline: pa.Table | None
) -> tuple[DataEvidence, Verdict]:
    home = find_home()
    exceptions = read_exceptions(home.exceptions(config.service), home.table(config.service))
    evidence = measure_data(
        config,
        batch,
        baseline,
        f"ingest-{config.service}",
        earlier=EarlierBatches(_list_batch_sizes(config), exceptions, is_traffic(config, delivery)),
    )
    return evidence, DataGate(config.data).judge(evidence)


def _quarantine(
    config: ServiceConfig,
    delivery: Delivery,
    rows: pa.Table,
    verdict: Verdict,
    evidence: DataEvidence,
) -> Path:
    folder = find_home().quarantine(config.service)
    where = quarantine_batch(folder, rows, verdict, evidence.bad_rows, delivery.source)
    log = get_run_logger()
    log.error("quarantined: %s", where)
    log.error("as it is: %s", _name_acceptance(config.service, where))
    return where


def _name_acceptance(service: str, where: Path) -> str:
    batch = where.name[:SHOWN_CHARACTERS]
    return f"`sluice quarantine accept {service} {batch} --by NAME --reason WORDS`"


def _list_batch_sizes(config: ServiceConfig) -> tuple[int, ...]:
    """Return the rows of each batch of the table, oldest first."""
    try:
        versions = list_versions(find_home().table(config.service), config.service)
    except DataMissing:
        return ()
    totals = [0, *(item.rows for item in versions)]
    sizes = (after - before for before, after in pairwise(totals))
    return tuple(size for size in sizes if size > 0)


def _read_changed(
    config: ServiceConfig, baseline_version: int
) -> tuple[pa.Table | None, DataVersion | None]:
    """Return the table if it changed since a batch was judged, else nothing."""
    with suppress(DataMissing):
        if latest_version(find_home().table(config.service), config.service) != baseline_version:
            return _read_latest(config)
    return None, None


def _skip_existing(
    config: ServiceConfig, delivery: Delivery, existing: DataVersion, folder: Path
) -> ValidatedBatch:
    remember_taken(config, delivery, folder)
    return ValidatedBatch(delivery, Path(), None, existing)


def _leave_out_refused(
    config: ServiceConfig, delivery: Delivery, batch: pa.Table, baseline: pa.Table
) -> pa.Table:
    """Return the rows to judge and append, and log which refused rows came again unchanged.

    What has no other row is judged again; of a pull not where a person decided about it.
    """
    left, refused = leave_out_refused(config, batch, baseline, keep_some=not delivery.is_pull)
    if refused:
        named = ", ".join(f"{item.short_name} ({item.state})" for item in refused)
        get_run_logger().warning(
            "%s rows are in quarantine as they are: left out; batches: %s; next: `sluice "
            "quarantine list %s`",
            f"{batch.num_rows - left.num_rows:,}",
            named,
            config.service,
        )
    return left


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
