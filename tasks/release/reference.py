"""The reference profile of a release, with which later rows are compared."""

from typing import TYPE_CHECKING

from prefect import get_run_logger

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.history import read_importance
from sluice.adapters.validation.suite_file import list_growing
from sluice.config.service import ServiceConfig
from sluice.drift.document import FILE, write_profile
from sluice.drift.reference import ReleasedRows, profile_release
from sluice.home import SUITES, find_home
from sluice.models.prediction import predict
from sluice.stats.holdout import Predictions
from tasks.release.release import Release
from tasks.release.rows import RowSplit, read_part, read_part_table
from tasks.release.scoring import score_candidate
from tasks.release.training import TrainedModel
from tasks.run.decorators import effect

if TYPE_CHECKING:
    from pandas import DataFrame


@effect
def profile_reference(
    config: ServiceConfig, release: Release, split: RowSplit, model: TrainedModel
) -> None:
    """Build the reference profile in one pass over the rows, and log it to the registry run.

    Raises:
        DataInvalid: the rows lack a column of the configuration.
        Fault: the table or the registry cannot be reached.
    """
    registry = open_registry(find_home())
    frame = read_part(config, release, split, "held_out")
    rows = ReleasedRows(
        release.data.version,
        read_part_table(config, release, split, "training"),
        read_part_table(config, release, split, "held_out"),
        frame,
        _score_held_out(config, release, split, model, frame),
        read_importance(registry, release.run_id) or {},
        list_growing(SUITES, config.data.suite),
    )
    profile = profile_release(config, rows)
    text = write_profile(profile)
    registry.log_text(release.run_id, FILE, text)
    get_run_logger().info(
        "reference profile: %d distributions of %s training rows, %s kB",
        len(profile.columns),
        f"{profile.rows:,}",
        f"{len(text) / 1000:,.0f}",
    )


def _score_held_out(
    config: ServiceConfig,
    release: Release,
    split: RowSplit,
    model: TrainedModel,
    frame: "DataFrame",
) -> Predictions:
    """Return the predictions for all held-out rows, also those that the champion was trained on."""
    if split.compared == split.held_out:
        return score_candidate(config, release, split, model).predictions
    return predict(model.open(), frame, config.data, config.problem)
