"""A service's labelled traffic as a source: answers of the log whose label is final."""

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sluice.adapters.tables.delta import latest_version, read_version
from sluice.adapters.traffic.log import HOUR, read_log
from sluice.adapters.traffic.provenance import read_provenance
from sluice.config.data import TrafficSource
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import Delivery
from sluice.data.retention import format_hour
from sluice.data.traffic.feedback import take_last_answers, take_last_labels
from sluice.data.traffic.rows import TakenBefore, TrafficRows, build_traffic_rows
from sluice.errors import DataMissing
from sluice.home import Home

KIND: Final = "traffic"
REQUEST = "request_id"
MOMENT = pa.timestamp("us", tz="UTC")
ANSWER = [
    REQUEST, "at", "position", "version", "arm", "arm_version", "failed", "fallback", "experiment",
    "experiment_arm", "inputs",
]  # fmt: skip


def find_labelled(
    config: ServiceConfig,
    source: TrafficSource,
    home: Home,
    previous_mark: str,
    now: float,
    fewest: int = 1,
) -> Delivery | None:
    """Return the requests that can become rows as a delivery; None where they are fewer.

    While they cannot be taken, its mark stays the same until their number has doubled. `now` is in
    seconds since 1970.

    Raises:
        DataUnavailable: a table cannot be reached.
    """
    order = [("at", "ascending"), (REQUEST, "ascending")]
    due = _find_due(config.service, source, home, now).sort_by(order)
    if due.num_rows < max(fewest, 1):
        return None
    first = f"{due[REQUEST][0].as_py()} {due['label'][0].as_py()}"
    digest = hashlib.sha256(first.encode()).hexdigest()[:12]
    mark = f"{1 << due.num_rows.bit_length() - 1} requests from {digest}"
    return Delivery(KIND, f"traffic of {config.service}", KIND, mark, previous_mark)


def read_training_rows(
    config: ServiceConfig, source: TrafficSource, home: Home, now: float
) -> TrafficRows:
    """Read the requests that can become rows, and build these.

    Raises:
        DataInvalid: all of them lack a column; or none can be read, and there is no table yet.
        DataUnavailable: a table cannot be reached.
    """
    service = config.service
    due = _find_due(service, source, home, now).select([REQUEST, "label", "labelled_at"])
    ids = due[REQUEST].combine_chunks()
    answers = _read_answers(home, service, ANSWER, now - source.maturity, ids)
    shadows = read_log(home.shadows(service), [REQUEST], pc.field(REQUEST).isin(ids))
    seen = ids.slice(0, 0) if shadows is None else shadows[REQUEST].combine_chunks()
    labelled = answers.join(due, REQUEST, join_type="inner")
    labelled = labelled.append_column("shadowed", pc.is_in(labelled[REQUEST], value_set=seen))
    return build_traffic_rows(labelled, config, source, _read_before(config, home))


def _find_due(service: str, source: TrafficSource, home: Home, now: float) -> pa.Table:
    """Return the requests whose label is final and that were not taken yet.

    The columns are `request_id`, `label`, `labelled_at` and `at`.
    """
    taken = read_provenance(home.provenance(service)).select([REQUEST, "label"])
    labels = _read_labels(service, home).join(taken, [REQUEST, "label"], join_type="left anti")
    ids, latest = labels[REQUEST].combine_chunks(), now - source.maturity
    answers = _read_answers(home, service, [REQUEST, "at", "position"], latest, ids)
    return labels.join(answers, REQUEST, join_type="inner")


def _read_labels(service: str, home: Home) -> pa.Table:
    """Return the last label of each request: `request_id`, `label` and `labelled_at`."""
    columns = [REQUEST, "at", "position", "label", "service"]
    feedback = read_log(home.feedback, columns, pc.field("label").is_valid())
    if feedback is None:
        kinds = {REQUEST: pa.string(), "label": pa.string(), "labelled_at": MOMENT}
        return pa.schema(kinds.items()).empty_table()
    return take_last_labels(feedback, service)


def _read_answers(
    home: Home, service: str, columns: list[str], latest: float, ids: pa.Array
) -> pa.Table:
    """Return the last answer to each of these requests that is not later than `latest`."""
    moment = pa.scalar(datetime.fromtimestamp(latest, UTC), MOMENT)
    only = (pc.field(HOUR) <= format_hour(latest)) & (pc.field("at") <= moment)
    found = None
    if len(ids):
        found = read_log(home.answers(service), columns, only & pc.field(REQUEST).isin(ids))
    if found is None:
        kinds = {REQUEST: pa.string(), "at": MOMENT}
        return pa.schema([(name, kinds.get(name, pa.int64())) for name in columns]).empty_table()
    return take_last_answers(found)


def _read_before(config: ServiceConfig, home: Home) -> TakenBefore:
    uri, service = home.table(config.service), config.service
    taken = read_provenance(home.provenance(service))
    requests = frozenset(taken[REQUEST].to_pylist())
    with suppress(DataMissing):
        version = latest_version(uri, service)
        table, _ = read_version(uri, service, version, config.data.id)
        return TakenBefore(table, requests)
    return TakenBefore(None, requests)
