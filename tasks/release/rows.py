"""The rows of a release, read by reference: training rows and held-out rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger

from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.tables.delta import read_version
from sluice.adapters.tables.snapshot import read_once
from sluice.config.data import SplitConfig
from sluice.config.service import ServiceConfig
from sluice.data.split import comparison_mask, split_rows
from sluice.errors import DataMissing
from sluice.home import find_home
from tasks.release.release import Release
from tasks.run.decorators import effect

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

PARTS = "parts.parquet"
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
    import pandas as pd

    frame = read_rows(config, release)
    split = split_rows(frame, config.data, config.split)
    ids = frame[config.data.id].to_numpy()
    champion, folder = release.champion, release.folder
    trained = read_champion_rows(config, champion, folder) if champion else None
    compared = comparison_mask(split, ids, trained)
    path = release.folder / PARTS
    pd.DataFrame({"id": ids, "held_out": split.holdout, "compared": compared}).to_parquet(path)
    row_split = RowSplit(
        path=str(path),
        training=int((~split.holdout).sum()),
        held_out=int(split.holdout.sum()),
        compared=int(compared.sum()),
        seed=config.split.seed,
    )
    get_run_logger().info(
        "split by %s: %s training rows, %s held-out rows, %s compared",
        config.split.by,
        f"{row_split.training:,}",
        f"{row_split.held_out:,}",
        f"{row_split.compared:,}",
    )
    return row_split


def read_rows(config: ServiceConfig, release: Release) -> "pd.DataFrame":
    """Return the rows of the release's data version, sorted by id.

    Raises:
        Fault: neither the release's own copy nor the table can be reached.
    """
    uri = find_home().table(config.service)
    version = release.data.version
    table, _ = read_once(release.folder, uri, config.service, version, config.data.id)
    rows: pd.DataFrame = table.to_pandas()
    return rows


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
    uri, key = find_home().table(config.service), config.data.id
    version = champion.find_data_version()
    if version is None or SPLIT not in champion.tags:
        raise DataMissing(
            f"champion v{champion.version} of {config.service} carries no data version or no split "
            "among its tags: it is unknown which rows it was trained on; next: `sluice restore "
            f"{config.service} VERSION` with a version that a release registered"
        )
    table, data = (
        read_once(folder, uri, config.service, version, key)
        if folder
        else read_version(uri, config.service, version, key)
    )
    if data.content_hash != champion.tags.get("sluice.data.content_hash"):
        raise DataMissing(
            f"champion v{champion.version} of {config.service} was trained on data version "
            f"{version}, which now has other rows: it is unknown which rows it was "
            "trained on; restore the table or register a new champion"
        )
    frame = table.to_pandas()
    split = SplitConfig.model_validate_json(champion.tags[SPLIT])
    trained = split_rows(frame, config.data, split).training
    ids: NDArray[Any] = frame.loc[trained, config.data.id].to_numpy()
    return ids


def read_part(
    config: ServiceConfig, release: Release, row_split: RowSplit, part: str
) -> "pd.DataFrame":
    """Return one part of the release's rows: `training` or `compared`.

    Raises:
        Fault: the table cannot be reached.
    """
    import pandas as pd

    frame = read_rows(config, release)
    marks = pd.read_parquet(row_split.file)
    mask = ~marks["held_out"] if part == "training" else marks["compared"]
    return frame[mask.to_numpy()].reset_index(drop=True)
