"""What a person decides about a refused batch: it goes into the table, or it is dropped.

Nothing here needs Prefect. Each step can be repeated: a decision that was interrupted is completed
by the same command.
"""

from contextlib import suppress
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from sluice.adapters.control.commands import require_reason
from sluice.adapters.control.store import Control
from sluice.adapters.tables.batches import quarantine_batch
from sluice.adapters.tables.delta import (
    append_batch,
    latest_version,
    read_changes,
    read_version,
)
from sluice.adapters.tables.quarantine import (
    decide,
    find_quarantined,
    list_quarantined,
    read_refusal,
    record_exceptions,
    settle,
)
from sluice.config.service import ServiceConfig
from sluice.control.command import Author
from sluice.control.timeline import QUARANTINE_ACCEPT, QUARANTINE_DROP, TimelineEntry
from sluice.data.batches.arrival import NewRows, compare_batch, find_same
from sluice.data.batches.exceptions import follow_schema, list_exceptions, split_bad_rows
from sluice.data.batches.quarantine import (
    Answer,
    DecisionEffect,
    QuarantinedBatch,
    QuarantineDecision,
)
from sluice.data.evolution import SchemaChange, apply_change, choose_later, describe_kinds
from sluice.data.schema import conform_rows
from sluice.errors import CommandRefused, DataInvalid, DataMissing
from sluice.home import find_home
from tasks.data.schema import check_table

TRIES = 5
"""How often rows are appended anew because the table got some of them meanwhile."""


def accept_batch(
    control: Control, config: ServiceConfig, name: str, author: Author, good_rows: bool = False
) -> DecisionEffect:
    """Append a refused batch to the table, with who accepted it and why.

    The rules that refused these rows never halt for them again. With `good_rows` only the rows that
    broke no rule on single rows are appended; the others become a batch of their own in quarantine.

    Raises:
        CommandRefused: name or reason are missing, the batch is unknown, it was decided otherwise,
            or it has no bad rows to leave out.
        DataInvalid: the rows do not fit the service's columns of today.
        StorageFull: the disk is full.
        Fault: the table, the quarantine or the control store cannot be reached.
    """
    answer: Answer = "accept-good-rows" if good_rows else "accept"
    require_reason("quarantine accept", author.by, author.reason)
    folder = find_home().quarantine(config.service)
    batch = find_quarantined(folder, name)
    check_table(config)
    rows, verdict, bad_rows = read_refusal(folder, batch)
    bad = rows.slice(0, 0)
    if good_rows:
        rows, bad = split_bad_rows(rows, bad_rows, bad_rows.column_names[2])
        if not rows.num_rows or not bad.num_rows:
            found = "no bad row is listed" if rows.num_rows else "every row is bad"
            raise CommandRefused(f"batch {batch.short_name}: {found}; allowed: accept without it")
    changes = _find_changes(config, rows)
    for change in changes:
        rows = apply_change(rows, change)
    admitted = conform_rows(rows, config.data, f"batch {batch.short_name} in quarantine")
    decision = decide(folder, batch, _make_decision(answer, author))
    if bad.num_rows:
        quarantine_batch(folder, bad, verdict, bad_rows, batch.source)
    exceptions = list_exceptions(verdict, bad_rows, admitted[config.data.id])
    exceptions, version = follow_schema(exceptions, changes), _find_version(config)
    place = find_home().exceptions(config.service)
    record_exceptions(place, batch.name, exceptions, -1 if version is None else version)
    effect = settle(folder, batch, _append_rows(config, batch, admitted, decision))
    _note_decision(control, config, batch, QUARANTINE_ACCEPT, decision, effect)
    return effect


def drop_batch(
    control: Control, config: ServiceConfig, name: str, author: Author
) -> DecisionEffect:
    """Decide that a refused batch stays out of the table; its rows and the decision are kept.

    Raises:
        CommandRefused: name or reason are missing, the batch is unknown, or it was accepted.
        StorageFull: the disk is full.
        Fault: the quarantine or the control store cannot be reached.
    """
    require_reason("quarantine drop", author.by, author.reason)
    folder = find_home().quarantine(config.service)
    batch = find_quarantined(folder, name)
    decision = decide(folder, batch, _make_decision("drop", author))
    message = f"batch {batch.short_name} of {batch.rows:,} rows stays out of the table"
    effect = settle(folder, batch, DecisionEffect(0, None, message))
    _note_decision(control, config, batch, QUARANTINE_DROP, decision, effect)
    return effect


def leave_out_refused(
    config: ServiceConfig, rows: pa.Table, baseline: pa.Table, keep_some: bool
) -> tuple[pa.Table, list[QuarantinedBatch]]:
    """Return the rows of a delivery without refused ones that came again, and their batches.

    A source that is read as a whole, or from its last mark on, has the rows of a refused batch
    again, and they would refuse the good rows behind them. Left out are rows of a batch that comes
    unchanged: with a bad row of it, and none with other values. A batch that was repaired at its
    source is judged anew as a whole. So is a waiting one without bad rows of its own, such as too
    few: with the rows behind it, it may pass. Of an accepted one those are left out that the
    table, `baseline`, has with other values. Where no row would remain, waiting batches are judged
    again, because a rule may have changed; with `keep_some` also those that a person decided about.

    Raises:
        DataUnavailable: the quarantine cannot be reached.
    """
    folder, key = find_home().quarantine(config.service), config.data.id
    left, found = rows, list[QuarantinedBatch]()
    for batch in list_quarantined(folder):
        if batch.state == "damaged":
            continue
        refused = _find_again(config, left, batch)
        if batch.state == "accepted":
            changed = pc.is_in(refused[key], value_set=baseline[key].combine_chunks())
            refused = refused.filter(changed)
        if refused.num_rows:
            ids = pc.is_in(left[key], value_set=refused[key].combine_chunks())
            left, found = left.filter(pc.invert(ids)), [*found, batch]
    judges_again = keep_some or all(batch.decision is None for batch in found)
    return (rows, []) if judges_again and not left.num_rows else (left, found)


def _find_again(config: ServiceConfig, rows: pa.Table, batch: QuarantinedBatch) -> pa.Table:
    """Return the rows that a refused batch has as well, if it comes as it was refused."""
    nothing, key = rows.slice(0, 0), config.data.id
    try:
        refused, _, bad_rows = read_refusal(find_home().quarantine(config.service), batch)
        for change in _find_changes(config, refused):
            refused = apply_change(refused, change)
        refused = conform_rows(refused, config.data, f"batch {batch.short_name} in quarantine")
    except DataInvalid:  # rows of a schema that cannot be compared are judged
        return nothing
    again = find_same(rows, refused, key)
    shared = pc.sum(pc.is_in(rows[key], value_set=refused[key].combine_chunks())).as_py()
    bad_ids = set(bad_rows.column(2).to_pylist())
    is_bad = any(str(value) in bad_ids for value in again[key].to_pylist())
    unchanged = again.num_rows == (shared or 0)
    return again if unchanged and (is_bad or (not bad_ids and batch.decision)) else nothing


def _find_changes(config: ServiceConfig, rows: pa.Table) -> tuple[SchemaChange, ...]:
    """Return the changes of the schema since a batch was refused."""
    changes = [item.change for item in read_changes(find_home().table(config.service))]
    return choose_later(describe_kinds(rows.schema), changes, config.data.columns)


def _make_decision(answer: Answer, author: Author) -> QuarantineDecision:
    return QuarantineDecision(
        answer, author.by.strip(), author.reason.strip(), datetime.now(UTC), author.origin
    )


def _append_rows(
    config: ServiceConfig, batch: QuarantinedBatch, rows: pa.Table, decision: QuarantineDecision
) -> DecisionEffect:
    """Append the rows that the table lacks; a row with an id of the table is never changed.

    Raises:
        DataInvalid: the rows have another schema than the table.
        StorageFull: the disk is full; the table stays at its version.
        DataUnavailable: the table cannot be reached.
    """
    uri, key = find_home().table(config.service), config.data.id
    facts = {
        "source": batch.source,
        "quarantine": batch.name,
        "acceptedBy": decision.by,
        "reason": decision.reason,
    }
    for attempt in range(TRIES):
        version, compared = _compare_with_table(config, rows)
        if compared.fresh.num_rows:
            try:
                version = append_batch(uri, compared.fresh, facts, key).version
            except DataInvalid:  # an ingest may have appended some of them meanwhile
                if attempt == TRIES - 1 or version == _find_version(config):
                    raise
                continue
        break
    there, changed = rows.num_rows - compared.changed.num_rows, compared.changed.num_rows
    message = f"{there:,} of {batch.rows:,} rows are in data version {version}"
    if changed:
        message += f"; {changed:,} have a {key} that the table has with other values: left out"
    return DecisionEffect(there, version, message)


def _compare_with_table(config: ServiceConfig, rows: pa.Table) -> tuple[int | None, NewRows]:
    version = _find_version(config)
    if version is None:
        return None, compare_batch(rows, None, config.data.id)
    table, _ = read_version(find_home().table(config.service), config.service, version)
    return version, compare_batch(rows, table, config.data.id)


def _find_version(config: ServiceConfig) -> int | None:
    with suppress(DataMissing):
        return latest_version(find_home().table(config.service), config.service)
    return None


def _note_decision(
    control: Control,
    config: ServiceConfig,
    batch: QuarantinedBatch,
    action: str,
    decision: QuarantineDecision,
    effect: DecisionEffect,
) -> None:
    """Append the decision to the audit timeline, once however often it is completed."""
    entry = TimelineEntry(
        service=config.service,
        at=decision.at,
        action=action,
        by=decision.by,
        reason=decision.reason,
        origin=f"{decision.origin}, batch {batch.short_name}",
        message=effect.message,
    )
    control.timeline.append(entry, once=True)
