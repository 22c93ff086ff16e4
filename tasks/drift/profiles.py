"""The reference profile of an earlier version, built from its pinned data version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.registry.history import read_config, read_importance
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.tables.delta import read_version
from sluice.adapters.validation.suite_file import list_growing
from sluice.config.service import ServiceConfig
from sluice.data.folds import assign_folds, mark_training
from sluice.data.split import keep_types, split_rows
from sluice.drift.document import FILE, read_profile, write_profile
from sluice.drift.profile import ReferenceProfile
from sluice.drift.reference import ReleasedRows, profile_release
from sluice.errors import DataInvalid, DataMissing
from sluice.home import SUITES, find_home
from sluice.models.cross_validation import FoldRows, predict_out_of_fold
from sluice.models.importance import measure_importance
from sluice.models.prediction import predict
from sluice.stats.holdout import Predictions
from tasks.run.champions import find_champion, require_record

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SERVING = -1


@dataclass(frozen=True)
class RebuiltProfile:
    """The profile of a version, and what it was before: `new`, `equal`, `other` or `damaged`."""

    version: int
    profile: ReferenceProfile
    before: str


def load_profile(service: str, version: ModelVersionRef) -> ReferenceProfile:
    """Return the reference profile of a version.

    Raises:
        DataMissing: it has none yet.
        DataInvalid: its document cannot be read.
        Fault: the registry cannot be reached.
    """
    text = open_registry(find_home()).find_text(version.run_id, FILE)
    if text is None:
        raise DataMissing(
            f"{service} v{version.version} has no reference profile: a version from before has "
            f"none; next: `sluice profile {service} --version {version.version}`"
        )
    return read_profile(text, f"{FILE} of {service} v{version.version}")


def rebuild_profile(service: str, version: int = SERVING) -> RebuiltProfile:
    """Build a version's profile from its pinned data version, and log it where it differs.

    By default that of the champion. It is equal to the one that a release builds. Sections of other
    rooms in an earlier document are kept.

    Raises:
        DataMissing: there is no such version, or its data version or configuration is not known.
        DataInvalid: its data version has other rows now.
        RolloutRefused: the version that serves is not in the registry.
        Fault: the table or the registry cannot be reached.
    """
    registry = open_registry(find_home())
    found = find_record(service, version)
    config = _read_configuration(registry, found)
    before, sections = _read_before(registry, found)
    profile = profile_release(config, _read_rows(registry, config, found), sections)
    text = write_profile(profile)
    if before == text:
        return RebuiltProfile(found.version, profile, "equal")
    registry.log_text(found.run_id, FILE, text)
    state = "new" if before is None else ("other" if before else "damaged")
    return RebuiltProfile(found.version, profile, state)


def find_record(service: str, version: int = SERVING) -> ModelVersionRef:
    """Return a version of the registry, by default the one that serves.

    Raises:
        DataMissing: there is no such version.
        RolloutRefused: the version that serves is not in the registry.
        Fault: the control store or the registry cannot be reached.
    """
    if version == SERVING:
        found = require_record(find_champion(service))
        if found is None:
            raise DataMissing(f"{service} has no champion yet; next: `sluice release {service}`")
        return found
    found = find_version(open_registry(find_home()), service, version)
    if found is None:
        raise DataMissing(
            f"{service} has no version {version}; next: `sluice history {service}` lists them"
        )
    return found


def _read_configuration(registry: Registry, version: ModelVersionRef) -> ServiceConfig:
    try:
        return ServiceConfig.model_validate(read_config(registry, version.run_id))
    except ValidationError as error:
        raise DataMissing(
            f"the configuration of {version.service} v{version.version} is missing or not "
            "readable, so that its training rows are unknown; next: release again"
        ) from error


def _read_before(
    registry: Registry, version: ModelVersionRef
) -> tuple[str | None, Mapping[str, Any]]:
    """Return the document as it is, empty where it is damaged, and the sections of others."""
    text = registry.find_text(version.run_id, FILE)
    if text is None:
        return None, {}
    try:
        return text, read_profile(text).sections
    except DataInvalid:
        return "", {}


def _read_rows(registry: Registry, config: ServiceConfig, version: ModelVersionRef) -> ReleasedRows:
    table = _read_table(config, version)
    frame: pd.DataFrame = keep_types(table.to_pandas(), table)
    pipeline = registry.load_model(version)
    if config.split.folds:
        evaluated = assign_folds(frame, config.data, config.split).evaluated
        training, held_out = np.ones(len(frame), dtype=np.bool_), evaluated
        rows = frame[held_out].reset_index(drop=True)
        predictions = _predict_folds(config, frame, evaluated)
    else:
        split = split_rows(frame, config.data, config.split)
        training, held_out = split.training, split.holdout
        rows = frame[held_out].reset_index(drop=True)
        predictions = predict(pipeline, rows, config.data, config.problem)
    importance = read_importance(registry, version.run_id)
    if importance is None:
        seed = config.evaluation.seed
        measured = measure_importance(pipeline, frame[held_out], config.data, seed=seed)
        importance = {one.feature: one.mean for one in measured}
    return ReleasedRows(
        int(version.tags["sluice.data.version"]),
        table.filter(training),
        table.filter(held_out),
        rows,
        predictions,
        importance,
        list_growing(SUITES, config.data.suite),
    )


def _read_table(config: ServiceConfig, version: ModelVersionRef) -> "pa.Table":
    """Return the rows of the version's data version, sorted by id, in its own columns."""
    number = version.find_data_version()
    if number is None:
        raise DataMissing(
            f"{version.service} v{version.version} carries no data version among its tags: another "
            "program registered it; next: release again"
        )
    uri = find_home().table(config.service)
    table, data = read_version(uri, config.service, number, config.data.id)
    if set(config.data.columns) - set(table.column_names):
        table, data = read_version(uri, config.service, number, config.data.id, config.data.columns)
    if data.content_hash != version.tags.get("sluice.data.content_hash"):
        raise DataInvalid(
            f"data version {number} of {config.service} has other rows than v{version.version} "
            "was trained on: restore the table, or release again"
        )
    return table


def _predict_folds(
    config: ServiceConfig, frame: "pd.DataFrame", evaluated: "np.ndarray[Any, Any]"
) -> Predictions:
    """Return the predictions of the held-out rows, each by a model fitted without its fold."""
    folds = assign_folds(frame, config.data, config.split)
    places = np.cumsum(evaluated) - 1
    rows = (
        FoldRows(
            frame[mark_training(folds, fold, frame, frame, config.data)].reset_index(drop=True),
            frame[folds.numbers == fold].reset_index(drop=True),
            places[folds.numbers == fold],
        )
        for fold in range(config.split.folds)
    )
    return predict_out_of_fold(config, rows, int(evaluated.sum())).predictions
