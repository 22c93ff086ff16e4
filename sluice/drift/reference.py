"""The profile of a released version: training rows for its features, held-out rows for outputs.

A model is too sure of the rows that it was fitted on, so that their scores would look like drift.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sluice.config.service import ServiceConfig
from sluice.drift.columns import PREDICTION, SCORE, list_watched, name_score
from sluice.drift.performance.reference import build_sections
from sluice.drift.profile import Description, ReferenceProfile, build_profile
from sluice.stats.holdout import Holdout, Predictions

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class ReleasedRows:
    """What a release knows: its rows, and the predictions of those that were held out.

    `frame` has the rows of `held_out`, with the types that the model is given; `predictions` are
    aligned with both. `importance` is each feature's permutation importance, empty where it was not
    measured. `growing` are columns that grow with time by nature.
    """

    data_version: int
    training: pa.Table
    held_out: pa.Table
    frame: "DataFrame"
    predictions: Predictions
    importance: Mapping[str, float] = field(default_factory=dict)
    growing: Collection[str] = ()


def profile_release(
    config: ServiceConfig, rows: ReleasedRows, sections: Mapping[str, Any] | None = None
) -> ReferenceProfile:
    """Return the reference profile of a release.

    Features and label are those of the training rows, outputs those of the held-out rows. Slices
    are the values of `evaluation.slices.columns` with at least `minimum` rows. `sections` are those
    of others; the one with the performance on held-out rows, and what estimates it later, is added.

    Raises:
        DataInvalid: the rows lack a column of the configuration, or predictions are not complete.
    """
    holdout = Holdout(rows.frame[config.data.target].to_numpy(), rows.frame)
    performance = build_sections(config, holdout, rows.predictions)
    slices = config.evaluation.slices
    about = Description(
        config.service,
        rows.data_version,
        known=tuple(config.data.columns),
        slices=slices.columns,
        least_slice=slices.minimum,
        importance=rows.importance,
        sections={**(sections or {}), **performance},
    )
    classes = rows.predictions.classes
    watched = list_watched(config.data, config.problem, classes, rows.growing)
    outputs = tabulate_outputs(rows.predictions)
    for name in slices.columns:
        outputs = outputs.append_column(name, rows.held_out.column(name))
    return build_profile(
        about,
        watched,
        {"feature": rows.training, "label": rows.training, "prediction": outputs},
    )


def tabulate_outputs(predictions: Predictions) -> pa.Table:
    """Return a model's outputs as columns with the names that a profile knows."""
    columns = {PREDICTION: pa.array(predictions.labels)}
    scores = predictions.scores
    if scores is not None and scores.ndim == 1:
        columns[SCORE] = pa.array(scores)
    elif scores is not None:
        for place, value in enumerate(predictions.classes):
            columns[name_score(value)] = pa.array(scores[:, place])
    return pa.table(columns)
