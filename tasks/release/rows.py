"""The rows of a release, read by reference: training rows and held-out rows."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from prefect import get_run_logger

from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.storage import write_whole
from sluice.adapters.tables.delta import read_changes, read_kinds, read_version
from sluice.adapters.tables.snapshot import read_once
from sluice.config.data import DataConfig, SplitConfig
from sluice.config.service import ServiceConfig
from sluice.data.evolution import SchemaChange, choose_changes, restore_columns, restore_kinds
from sluice.data.folds import assign_folds
from sluice.data.recent import RecentRows, mark_recent
from sluice.data.split import comparison_mask, keep_types, split_rows
from sluice.documents import read_json
from sluice.errors import DataMissing
from sluice.home import find_home
from tasks.release.release import Release
from tasks.run.decorators import effect

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

Part = Literal["training", "held_out", "compared"]
PARTS, CHANGES = "parts.parquet", "changes.json"
SPLIT = "sluice.split"
"""Tag of a version: the split by which its training rows were chosen."""


@dataclass(frozen=True)
class RowSplit:
    """The split of a release's rows: counts, and the file with each row's part."""

    path: str
    training: int
    held_out: int
    compared: int
    seed: int
    folds: int = 0
    """Folds of the cross-validation; 0: a share is held out."""

    @property
    def file(self) -> Path:
        """The file of ids and parts."""
        return Path(self.path)


@effect
def split_data(config: ServiceConfig, release: Release) -> RowSplit:
    """Split the data version; rows that the champion was trained on are not compared.

    Raises:
        DataMissing: the champion's training rows are unknown.
        TrainingImpossible: the rows cannot be split as configured.
        Fault: the table cannot be reached.
    """
    frame = read_rows(config, release, _list_keys(config, config.split))
    if config.split.folds:
        return _split_into_folds(config, release, frame)
    split = split_rows(frame, config.data, config.split)
    ids = frame[config.data.id].to_numpy()
    champion, folder = release.champion, release.folder
    trained = read_champion_rows(config, champion, folder) if champion else None
    find_changes(config, release)
    compared = comparison_mask(split, ids, trained)
    row_split = _keep_parts(config, release, ids, split.training, split.holdout, compared)
    get_run_logger().info(
        "split by %s: %s training rows, %s held-out rows, %s compared",
        config.split.by,
        f"{row_split.training:,}",
        f"{row_split.held_out:,}",
        f"{row_split.compared:,}",
    )
    return row_split


def _split_into_folds(config: ServiceConfig, release: Release, frame: "pd.DataFrame") -> RowSplit:
    """Keep all rows for training, and all that a fold evaluates for comparison."""
    evaluated = assign_folds(frame, config.data, config.split).evaluated
    ids, every = frame[config.data.id].to_numpy(), np.ones(len(frame), dtype=np.bool_)
    row_split = _keep_parts(config, release, ids, every, evaluated, evaluated)
    get_run_logger().info(
        "%d folds by %s: %s rows to train on, %s of them evaluated out of their fold",
        config.split.folds,
        config.split.by,
        f"{row_split.training:,}",
        f"{row_split.compared:,}",
    )
    return row_split


def _keep_parts(
    config: ServiceConfig,
    release: Release,
    ids: "NDArray[Any]",
    training: "NDArray[np.bool_]",
    held_out: "NDArray[np.bool_]",
    compared: "NDArray[np.bool_]",
) -> RowSplit:
    """Write each row's part to the release's folder; return the counts."""
    import pandas as pd

    path = release.folder / PARTS
    parts = {"id": ids, "training": training, "held_out": held_out, "compared": compared}
    pd.DataFrame(parts).to_parquet(path)
    return RowSplit(
        path=str(path),
        training=int(training.sum()),
        held_out=int(held_out.sum()),
        compared=int(compared.sum()),
        seed=config.split.seed,
        folds=config.split.folds,
    )


def read_rows(
    config: ServiceConfig, release: Release, columns: Sequence[str] = ()
) -> "pd.DataFrame":
    """Return the rows of the release's data version, sorted by id; by default all columns.

    Raises:
        Fault: neither the release's own copy nor the table can be reached.
    """
    rows: pd.DataFrame = _read_table(config, release, columns).to_pandas()
    return rows


def _read_table(config: ServiceConfig, release: Release, columns: Sequence[str]) -> "pa.Table":
    uri = find_home().table(config.service)
    version = release.data.version
    table, _ = read_once(
        release.folder, uri, config.service, version, config.data.id, columns=config.data.columns
    )
    wanted = [name for name in columns if name in table.column_names]
    return table.select(wanted) if columns else table


def _list_keys(config: ServiceConfig, split: SplitConfig) -> list[str]:
    """Return the columns that decide a row's part: id, time and group."""
    return list(dict.fromkeys(filter(None, (config.data.id, config.data.time, split.group))))


def read_champion_rows(
    config: ServiceConfig, champion: ModelVersionRef, folder: Path | None = None
) -> "NDArray[Any]":
    """Return the ids of the champion's training rows, from its own data version and split.

    `folder` has the release's copies of the versions that it read.

    Raises:
        DataMissing: its data version no longer has the rows that it was trained on, or it carries
            no data version or no split.
        Fault: the table cannot be reached.
    """
    table = read_champion_table(config, champion, folder)
    split = _follow_group(config, champion)
    frame = table.select(_list_keys(config, split)).to_pandas()
    trained = split_rows(frame, config.data, split).training
    ids: NDArray[Any] = frame.loc[trained, config.data.id].to_numpy()
    return ids


def _follow_group(config: ServiceConfig, champion: ModelVersionRef) -> SplitConfig:
    """Return the champion's split, with today's name of its group."""
    split = SplitConfig.model_validate_json(champion.tags[SPLIT])
    version = champion.find_data_version()
    if split.group and version is not None:
        for item in read_changes(find_home().table(config.service), after=version):
            if item.change.action == "rename" and item.change.column == split.group:
                split = split.model_copy(update={"group": item.change.name})
    return split


def read_champion_table(
    config: ServiceConfig, champion: ModelVersionRef, folder: Path | None = None
) -> "pa.Table":
    """Return the rows of the data version that the champion was trained on, sorted by id.

    Raises:
        DataMissing: that version has other rows now, or the champion carries no data version or no
            split.
        Fault: the table cannot be reached.
    """
    uri, key = find_home().table(config.service), config.data.id
    version = champion.find_data_version()
    if version is None or SPLIT not in champion.tags:
        raise DataMissing(
            f"champion v{champion.version} of {config.service} carries no data version or no split "
            "among its tags: it is unknown which rows it was trained on; next: `sluice restore "
            f"{config.service} VERSION` with a version that a release registered"
        )
    columns = config.data.columns
    table, data = (
        read_once(folder, uri, config.service, version, key, columns=columns)
        if folder
        else read_version(uri, config.service, version, key, columns)
    )
    if data.content_hash != champion.tags.get("sluice.data.content_hash"):
        raise DataMissing(
            f"champion v{champion.version} of {config.service} was trained on data version "
            f"{version}, which now has other rows: it is unknown which rows it was "
            "trained on; restore the table or register a new champion"
        )
    return table


def restore_rows(
    config: ServiceConfig, release: Release, frame: "pd.DataFrame"
) -> tuple["pd.DataFrame", DataConfig]:
    """Return rows in the columns that the release's champion knows, and these columns.

    Raises:
        Fault: the table cannot be reached, and no step has read its changes yet.
    """
    changes = find_changes(config, release)
    if not changes:
        return frame, config.data
    log = get_run_logger()
    for change in changes:
        log.info("the champion is older than a change of the schema: %s", change.describe())
    columns = restore_kinds(config.data.columns, changes)
    return restore_columns(frame, changes), config.data.model_copy(update={"columns": columns})


def find_changes(config: ServiceConfig, release: Release) -> tuple[SchemaChange, ...]:
    """Return the changes of the schema that the release's champion is older than.

    They are read once in a release.

    Raises:
        Fault: the table cannot be reached.
    """
    trained = release.champion.find_data_version() if release.champion else None
    if trained is None:
        return ()
    path, uri = release.folder / CHANGES, find_home().table(config.service)
    if path.exists():
        return tuple(SchemaChange(**item) for item in read_json(path))
    recorded = [item.change for item in read_changes(uri, after=trained)]
    kinds = read_kinds(uri, trained) if recorded else {}
    changes = choose_changes(kinds, recorded, config.data.columns)
    write_whole({path: json.dumps([asdict(change) for change in changes])})
    return changes


def read_part(
    config: ServiceConfig,
    release: Release,
    row_split: RowSplit,
    part: Part,
    columns: Sequence[str] = (),
) -> "pd.DataFrame":
    """Return one part of the release's rows; by default all columns.

    A column has the type that it has in the whole table: whole numbers with a null anywhere are
    read as floating-point numbers.

    Raises:
        Fault: the table cannot be reached.
    """
    table = _read_table(config, release, columns)
    return keep_types(_filter_part(table, row_split, part).to_pandas(), table)


def read_part_table(
    config: ServiceConfig, release: Release, row_split: RowSplit, part: Part
) -> "pa.Table":
    """Return one part of the release's rows as a table, all columns.

    Raises:
        Fault: the table cannot be reached.
    """
    return _filter_part(_read_table(config, release, ()), row_split, part)


def _filter_part(table: "pa.Table", row_split: RowSplit, part: Part) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    mask = pq.read_table(row_split.file, columns=[part])[part].to_numpy()
    return table.filter(pa.array(mask))


def find_recent(
    config: ServiceConfig, release: Release, compared: "pd.DataFrame"
) -> RecentRows | None:
    """Return which compared rows decide by `evaluation.recent`; None: all of them.

    Raises:
        Fault: the table cannot be reached.
    """
    if not config.evaluation.recent:
        return None
    time = config.data.time
    return mark_recent(config.evaluation, compared[time], read_rows(config, release, [time])[time])


_COMPARED: dict[tuple[str, int], "pd.DataFrame"] = {}
"""The compared rows of the last release, by the file of its split and its modification time."""


def read_compared(config: ServiceConfig, release: Release, row_split: RowSplit) -> "pd.DataFrame":
    """Return the compared rows; a process reads them once a release. Nobody changes them.

    Raises:
        Fault: the table cannot be reached.
    """
    key = (row_split.path, row_split.file.stat().st_mtime_ns)
    found = _COMPARED.get(key)
    if found is None:
        found = read_part(config, release, row_split, "compared")
        _COMPARED.clear()
        _COMPARED[key] = found
    return found
