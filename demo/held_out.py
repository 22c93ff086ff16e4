"""Held-out rows of a service as callers send them, with their true outcomes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.config.service import ServiceConfig
from sluice.documents import parse_json
from sluice.errors import DataInvalid
from sluice.home import Home

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HeldOut:
    """Records as JSON texts, and the true outcome of each as plain values."""

    records: tuple[str, ...]
    labels: tuple[Any, ...]


def read_frame(home: Home, config: ServiceConfig) -> "pd.DataFrame":
    """Return the held-out rows of the newest data version, by the service's own split.

    Raises:
        DataMissing: the service has no data yet.
        DataInvalid: the table holds other rows than were written.
        DataUnavailable: the table cannot be reached.
    """
    from sluice.adapters.tables.delta import latest_version, read_version
    from sluice.data.split import split_rows

    uri = home.table(config.service)
    newest = latest_version(uri, config.service)
    table, _ = read_version(uri, config.service, newest, config.data.id)
    frame: pd.DataFrame = table.to_pandas()
    held = split_rows(frame, config.data, config.split).holdout
    return frame[held].reset_index(drop=True)


def read_held_out(home: Home, config: ServiceConfig) -> HeldOut:
    """Return the held-out rows of a service's newest data version as records and labels.

    Raises:
        DataMissing: the service has no data yet.
        DataInvalid: the table holds other rows than were written.
        DataUnavailable: the table cannot be reached.
    """
    return build_records(read_frame(home, config), config)


def build_records(frame: "pd.DataFrame", config: ServiceConfig) -> HeldOut:
    """Return rows as records and labels; rows without a label are left out."""
    from sluice.models.export.onnx_export import make_sample
    from sluice.stats.holdout import Predictions

    known = frame[frame[config.data.target].notna()]
    labels = known[config.data.target].to_numpy(dtype=object)
    sample = make_sample(known, Predictions(labels), config.data)
    return HeldOut(tuple(map(json.dumps, sample.records)), tuple(map(_make_plain, sample.labels)))


def read_lines(path: Path) -> HeldOut:
    """Return the rows of a file of JSON lines, each with `inputs` and `label`.

    Raises:
        DataInvalid: the file cannot be read, has no rows, or a line is not such a row.
    """
    records, labels = [], []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataInvalid(f"--rows: {path} cannot be read: {error}") from error
    for number, line in enumerate(filter(str.strip, lines), 1):
        try:
            row = parse_json(line)
            records.append(json.dumps(row["inputs"]))
            labels.append(row["label"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataInvalid(
                f'--rows: {path}, row {number}: allowed: {{"inputs": {{...}}, "label": ...}}'
            ) from error
    if not records:
        raise DataInvalid(f"--rows: {path} has no rows")
    return HeldOut(tuple(records), tuple(labels))


def _make_plain(value: Any) -> Any:
    """Return a label as a plain value that JSON can hold."""
    return value.item() if hasattr(value, "item") else value
