"""Feature transformers: from a service's raw columns to the numbers of an estimator."""

from dataclasses import dataclass
from typing import Any

from sluice.config.data import ColumnKind, DataConfig, Encoding
from sluice.config.model import Problem

RARE = 10
"""Fewest rows of a text value that has a code of its own; rarer values share one."""
LEVELS = 250
"""Most codes of a text column; gradient boosting takes at most 255."""
FOLDS = 5
"""Folds of the training rows from which each row's mean of the target comes."""
NGRAMS = "ngrams"
"""The step of encoded texts that is not scaled: most of its numbers are 0 and stay so."""
UNKNOWN = -1
"""The code of a text value that was not in training; gradient boosting reads it as missing."""


@dataclass(frozen=True, eq=False)
class ModelParts:
    """An estimator kind's two unfitted scikit-learn parts.

    `iterations_parameter` is the name of the estimator's parameter that counts its iterations, for
    kinds that can continue a fit; empty for the others.
    """

    features: Any
    estimator: Any
    iterations_parameter: str = ""


def list_features(data: DataConfig, *kinds: ColumnKind) -> list[str]:
    """Return the names of the features of these kinds, in the configuration's order."""
    return [name for name in data.features if data.columns[name] in kinds]


def list_encoded(data: DataConfig, encoding: Encoding) -> list[str]:
    """Return the names of the features of an encoding, in the configuration's order."""
    return [name for name in data.features if data.encoding_of(name) == encoding]


def build_tree_features(data: DataConfig, problem: Problem, seed: int = 0) -> Any:
    """Build the column transformer of tree models: codes for categories, numbers as they are.

    Categories come first, in the configuration's order, then numbers, booleans, timestamps, and
    what becomes several numbers; nulls stay NaN, which trees split on. It returns an array of shape
    (n, numbers).
    """
    from sklearn.compose import ColumnTransformer

    switches = list_features(data, "boolean")
    steps = [
        ("text", _build_codes(), list_encoded(data, "category")),
        ("number", "passthrough", list_features(data, "integer", "number")),
        ("boolean", _build_switches(len(switches)), switches),
        ("timestamp", _build_clock(), list_encoded(data, "seconds")),
        *_list_encoders(data, problem, seed),
    ]
    used = [step for step in steps if step[2]]
    return ColumnTransformer(used, remainder="drop", verbose_feature_names_out=False)


def build_linear_features(data: DataConfig, problem: Problem, seed: int = 0) -> Any:
    """Build the column transformer of linear models: one-hot categories, imputed, scaled numbers.

    It returns an array of shape (n, levels of the categories and the other numbers), sparse where
    most of it is zero.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    levels = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=RARE, max_categories=LEVELS
    )
    switches, times = list_features(data, "boolean"), list_encoded(data, "seconds")
    steps = [
        ("text", levels, list_encoded(data, "category")),
        ("number", _build_scale(), list_features(data, "integer", "number")),
        ("boolean", make_pipeline(_build_switches(len(switches)), _build_scale()), switches),
        ("timestamp", make_pipeline(_build_clock(), _build_scale()), times),
    ]
    for name, encoder, columns in _list_encoders(data, problem, seed):
        scaled = encoder if name == NGRAMS else make_pipeline(encoder, _build_scale())
        steps.append((name, scaled, columns))
    used = [step for step in steps if step[2]]
    return ColumnTransformer(used, remainder="drop", verbose_feature_names_out=False)


def _list_encoders(
    data: DataConfig, problem: Problem, seed: int
) -> list[tuple[str, Any, list[str]]]:
    """Return the unfitted encoders of columns that become several numbers, with their columns."""
    if not data.encodings:
        return []
    from sluice.models.encoders.dates import DateEncoder
    from sluice.models.encoders.texts import NgramEncoder, TextEncoder

    dates = list_encoded(data, "date")
    time = data.time if dates and data.time in data.features and data.time not in dates else ""
    steps = [
        ("target", _build_means(problem, seed), list_encoded(data, "target")),
        ("words", TextEncoder(seed), list_encoded(data, "text")),
        (NGRAMS, NgramEncoder(), list_encoded(data, "ngrams")),
        ("calendar", DateEncoder("calendar"), list_encoded(data, "calendar")),
        ("date", DateEncoder("date", time), [*dates, *([time] if time else [])]),
    ]
    return [step for step in steps if step[2]]


def _build_means(problem: Problem, seed: int) -> Any:
    """Build the encoder of categories by the target's mean (Micci-Barreca 2001), unfitted.

    The rows it is fitted on get means of folds that they are not in: no row's own target is in its
    number.
    """
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    if problem == "regression":
        folds = KFold(FOLDS, shuffle=True, random_state=seed)
        return TargetEncoder(target_type="continuous", cv=folds)
    return TargetEncoder(cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed))


def _build_codes() -> Any:
    from sklearn.preprocessing import OrdinalEncoder

    return OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=UNKNOWN,
        min_frequency=RARE,
        max_categories=LEVELS,
    )


def _build_switches(columns: int) -> Any:
    from numpy import nan
    from sklearn.preprocessing import OrdinalEncoder

    return OrdinalEncoder(
        categories=[[False, True]] * columns, handle_unknown="use_encoded_value", unknown_value=nan
    )


def _build_clock() -> Any:
    from sluice.models.timestamps import TimestampEncoder

    return TimestampEncoder()


def _build_scale() -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(imputer, StandardScaler())
