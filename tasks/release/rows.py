"""The rows of a release, read by reference: which teach, which judge."""

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


@dataclass(frozen=True)
class RowSplit:
    """How a release's rows are divided: counts, and the file that names each row's part."""

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
    """Split the data version, and leave out of the comparison what the champion trained on.

    Raises:
        DataMissing: the champion's training rows cannot be established any more.
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
    parts = RowSplit(
        path=str(path),
        training=int((~split.holdout).sum()),
        held_out=int(split.holdout.sum()),
        compared=int(compared.sum()),
        seed=config.split.seed,
    )
    get_run_logger().info(
        "split by %s: %s rows teach, %s are held out, %s of them compare",
        config.split.by,
        f"{parts.training:,}",
        f"{parts.held_out:,}",
        f"{parts.compared:,}",
    )
    return parts


def read_rows(config: ServiceConfig, release: Release) -> "pd.DataFrame":
    """Read the release's data version as a table of rows, sorted by id.

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
    """Give the ids that the champion trained on, from its own data version and split.

    `folder` is where the release keeps the versions that it read.

    Raises:
        DataMissing: its data version no longer holds what it was trained on.
        Fault: the table cannot be reached.
    """
    uri = find_home().table(config.service)
    version, key = champion.data_version, config.data.id
    table, data = (
        read_once(folder, uri, config.service, version, key)
        if folder
        else read_version(uri, config.service, version, key)
    )
    if data.content_hash != champion.tags.get("sluice.data.content_hash"):
        raise DataMissing(
            f"champion v{champion.version} of {config.service} trained on data version "
            f"{champion.data_version}, which now holds something else: nobody can tell which rows "
            "it has not seen; restore the table or register a new champion"
        )
    frame = table.to_pandas()
    then = SplitConfig.model_validate_json(champion.tags["sluice.split"])
    trained = split_rows(frame, config.data, then).training
    ids: NDArray[Any] = frame.loc[trained, config.data.id].to_numpy()
    return ids


def read_part(
    config: ServiceConfig, release: Release, parts: RowSplit, part: str
) -> "pd.DataFrame":
    """Read one part of the release's rows: `training` or `compared`.

    Raises:
        Fault: the table cannot be reached.
    """
    import pandas as pd

    frame = read_rows(config, release)
    marks = pd.read_parquet(parts.file)
    mask = ~marks["held_out"] if part == "training" else marks["compared"]
    return frame[mask.to_numpy()].reset_index(drop=True)
