"""Rows in the form that models take: checked feature columns and targets."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.errors import DataInvalid, TrainingImpossible

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5
FILLED = 10
"""Fewest training rows in which a feature must have a value, so that every fold has some."""


def select_features(frame: "pd.DataFrame", data: DataConfig) -> "pd.DataFrame":
    """Return the feature columns in the configuration's order.

    Raises:
        DataInvalid: a feature column is absent, or holds infinite numbers.
    """
    absent = [name for name in data.features if name not in frame.columns]
    if absent:
        found = ", ".join(map(str, frame.columns))
        raise DataInvalid(f"the rows lack feature column '{absent[0]}'; found: {found}")
    chosen = frame[list(data.features)]
    for name in data.features:
        if data.columns[name] not in ("integer", "number"):
            continue
        infinite = int(np.isinf(chosen[name].to_numpy(dtype=np.float64, na_value=np.nan)).sum())
        if infinite:
            raise DataInvalid(
                f"feature '{name}' is infinite in {infinite:,} of {len(frame):,} rows; "
                "allowed: finite numbers and nulls"
            )
    return chosen


def check_training_rows(
    problem: Problem, data: DataConfig, frame: "pd.DataFrame", y: "pd.Series[Any]", least: int
) -> NDArray[Any]:
    """Check the training rows and return the target as an array of shape (n,).

    Text becomes an object array, numbers stay. `least` is the fewest rows that each class needs.

    Raises:
        DataInvalid: a feature column is absent.
        TrainingImpossible: no rows, a target that is null or not finite, one class or value,
            classes that do not fit the problem, too few rows of a class, features that are
            infinite or almost empty.
    """
    if len(frame) == 0:
        raise TrainingImpossible("there are no training rows; ingest data or lower split.holdout")
    if len(y) != len(frame):
        raise TrainingImpossible(f"{len(frame):,} training rows have {len(y):,} target values")
    target = _read_target(data, y)
    if problem == "regression":
        _check_values(data, target)
    else:
        _check_classes(problem, data, target, least)
    try:
        select_features(frame, data)
    except DataInvalid as error:
        if "infinite" in str(error):
            raise TrainingImpossible(str(error)) from error
        raise
    _check_filled(data, frame)
    return target


def find_positive(classes: NDArray[Any], positive: Any) -> Any:
    """Return the configured positive class as the data spells it; None if it is not there."""
    return next((value for value in classes.tolist() if value == positive), None)


def _read_target(data: DataConfig, y: "pd.Series[Any]") -> NDArray[Any]:
    import pandas as pd

    values = pd.Series(y)
    nulls = int(values.isna().sum())
    if nulls:
        raise TrainingImpossible(
            f"target '{data.target}' is null in {nulls:,} of {len(values):,} training rows; "
            "label those rows or leave them out"
        )
    if data.columns[data.target] == "text":
        return values.to_numpy(dtype=object)
    return np.asarray(values.to_numpy())


def _check_filled(data: DataConfig, frame: "pd.DataFrame") -> None:
    least = min(FILLED, len(frame))
    for name in data.features:
        known = int(frame[name].notna().sum())
        if known < least:
            raise TrainingImpossible(
                f"feature '{name}' is filled in {known:,} of {len(frame):,} training rows, "
                f"{least} needed: repair its source, or remove it from data.features"
            )


def _check_values(data: DataConfig, target: NDArray[Any]) -> None:
    if data.columns[data.target] not in ("integer", "number"):
        kind = data.columns[data.target]
        raise TrainingImpossible(f"target '{data.target}' is {kind}; a regression needs numbers")
    infinite = int((~np.isfinite(target.astype(np.float64))).sum())
    if infinite:
        raise TrainingImpossible(
            f"target '{data.target}' is infinite in {infinite:,} of {len(target):,} training rows; "
            "allowed: finite numbers"
        )
    if len(np.unique(target)) < 2:
        raise TrainingImpossible(
            f"target '{data.target}' has one value only ({target.tolist()[0]!r}) in "
            f"{len(target):,} training rows: there is nothing to learn"
        )


def _check_classes(problem: Problem, data: DataConfig, target: NDArray[Any], least: int) -> None:
    classes, counts = np.unique(target, return_counts=True)
    names = [repr(value) for value in classes.tolist()]
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    where = f"target '{data.target}' has {len(names):,} classes ({shown})"
    if len(names) < 2:
        raise TrainingImpossible(
            f"target '{data.target}' has one class only ({shown}) in {len(target):,} training "
            "rows: a model needs rows of at least two"
        )
    if problem == "binary" and len(names) != 2:
        raise TrainingImpossible(f"{where}; a binary problem has two: set problem to `multiclass`")
    if problem == "binary" and find_positive(classes, data.positive) is None:
        raise TrainingImpossible(f"{where}, none of which is data.positive ({data.positive!r})")
    if counts.min() < least:
        raise TrainingImpossible(
            f"class {names[int(counts.argmin())]} of target '{data.target}' has "
            f"{int(counts.min()):,} training rows; this model needs at least {least} of each class"
        )
