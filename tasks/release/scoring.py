"""Predictions for the compared rows: of the candidate, scored once a release, and the champion."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from prefect import get_run_logger
from pydantic import ValidationError

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.history import read_config
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.config.service import ServiceConfig
from sluice.data.evolution import restore_columns
from sluice.data.folds import assign_folds, mark_training
from sluice.errors import DataMissing
from sluice.home import find_home
from sluice.models.cross_validation import FoldRows, predict_out_of_fold
from sluice.models.prediction import predict, restore_features
from tasks.release.release import Release
from tasks.release.rows import (
    RowSplit,
    find_changes,
    read_champion_table,
    read_compared,
    read_rows,
    restore_rows,
)
from tasks.release.training import TrainedModel

if TYPE_CHECKING:
    import pandas as pd

    from sluice.stats.holdout import Predictions


@dataclass(frozen=True, eq=False)
class Scored:
    """The candidate's predictions for the compared rows.

    `pipeline` is a model of the candidate's configuration that was not fitted on `test`, some or
    all of the compared rows.
    """

    predictions: "Predictions"
    pipeline: Any
    test: "pd.DataFrame"


_LAST: dict[tuple[str, int, str], Scored] = {}
"""The predictions of the last release, by model file, its modification time and split."""


def score_candidate(
    config: ServiceConfig, release: Release, split: RowSplit, model: TrainedModel
) -> Scored:
    """Return the candidate's predictions for the compared rows; a process computes them once.

    With folds each row is predicted by a model that was fitted without its fold.

    Raises:
        ModelUntrusted: the file contains a type that was not reviewed.
        TrainingImpossible: no model can be trained outside some fold.
        Fault: the table cannot be reached.
    """
    key = (model.path, model.file.stat().st_mtime_ns, split.path)
    found = _LAST.get(key)
    if found is None:
        found = _score_candidate(config, release, split, model)
        _LAST.clear()
        _LAST[key] = found
    return found


def score_final(
    config: ServiceConfig, release: Release, split: RowSplit, model: TrainedModel
) -> "Predictions":
    """Return the predictions of the model that will serve, for the compared rows.

    With folds it was fitted on them: this is for comparing its forms, not for evaluating it.

    Raises:
        ModelUntrusted: the file contains a type that was not reviewed.
        Fault: the table cannot be reached.
    """
    if not split.folds:
        return score_candidate(config, release, split, model).predictions
    frame = read_compared(config, release, split)
    return predict(model.open(), frame, config.data, config.problem)


def _score_candidate(
    config: ServiceConfig, release: Release, split: RowSplit, model: TrainedModel
) -> Scored:
    if split.folds:
        get_run_logger().info("fitting the candidate outside each of %d folds", split.folds)
        rows = read_rows(config, release)
        out = predict_out_of_fold(config, _list_folds(config, rows, rows), split.compared)
        return Scored(out.predictions, out.pipeline, out.test)
    frame, pipeline = read_compared(config, release, split), model.open()
    return Scored(predict(pipeline, frame, config.data, config.problem), pipeline, frame)


def score_champion(
    config: ServiceConfig, release: Release, split: RowSplit
) -> "Predictions | None":
    """Return the champion's predictions on the same rows; None where there is no champion.

    It reads the features that it was trained on, also where the candidate has others, and the
    columns of its time where the schema changed since. With folds its configuration is fitted, for
    each fold, on the rows of its own data version outside of it.

    Raises:
        DataInvalid: the rows no longer have one of its features.
        DataMissing: with folds, its data version or its configuration is not known any more.
        ModelUntrusted: its file contains a type that was not reviewed.
        Fault: the registry cannot be reached.
    """
    champion = release.champion
    if champion is None:
        return None
    if split.folds:
        return _score_champion_by_folds(config, release, split, champion)
    frame, data = restore_rows(config, release, read_compared(config, release, split))
    pipeline = open_registry(find_home()).load_model(champion)
    return predict(pipeline, frame, restore_features(pipeline, data), config.problem)


def _score_champion_by_folds(
    config: ServiceConfig, release: Release, split: RowSplit, champion: ModelVersionRef
) -> "Predictions":
    get_run_logger().info("fitting the champion's configuration outside each fold")
    own = _read_configuration(champion)
    rows = read_rows(config, release)
    others: pd.DataFrame = read_champion_table(config, champion, release.folder).to_pandas()
    changes = find_changes(config, release)
    folds = (
        FoldRows(
            restore_columns(fold.training, changes),
            restore_columns(fold.test, changes),
            fold.places,
        )
        for fold in _list_folds(config, rows, others)
    )
    return predict_out_of_fold(own, folds, split.compared).predictions


def _read_configuration(champion: ModelVersionRef) -> ServiceConfig:
    found = read_config(open_registry(find_home()), champion.run_id)
    try:
        return ServiceConfig.model_validate(found)
    except ValidationError as error:
        raise DataMissing(
            f"the configuration of champion v{champion.version} of {champion.service} is missing "
            "or not readable, and split.folds fits it anew: evaluate on held-out rows instead "
            "(split.folds: 0), or make another version champion"
        ) from error


def _list_folds(
    config: ServiceConfig, rows: "pd.DataFrame", others: "pd.DataFrame"
) -> Iterator[FoldRows]:
    """Yield each fold: the rows of `others` to fit on, and the rows to predict, in their order."""
    folds = assign_folds(rows, config.data, config.split)
    places = np.cumsum(folds.evaluated) - 1
    for fold in range(config.split.folds):
        training = others[mark_training(folds, fold, rows, others, config.data)]
        held_out = folds.numbers == fold
        yield FoldRows(
            training.reset_index(drop=True),
            rows[held_out].reset_index(drop=True),
            places[held_out],
        )
