"""Feature transformers: from a service's raw columns to the numbers of an estimator."""

from dataclasses import dataclass
from typing import Any

from sluice.config.data import ColumnKind, DataConfig

RARE = 10
"""Fewest rows of a text value that has a code of its own; rarer values share one."""
LEVELS = 250
"""Most codes of a text column; gradient boosting takes at most 255."""
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


def build_tree_features(data: DataConfig) -> Any:
    """Build the column transformer of tree models: codes for text, numbers as they are.

    Text columns come first, in the configuration's order, then numbers, booleans and timestamps;
    nulls stay NaN, which trees split on. It returns an array of shape (n, features).
    """
    from sklearn.compose import ColumnTransformer

    switches = list_features(data, "boolean")
    steps = [
        ("text", _build_codes(), list_features(data, "text")),
        ("number", "passthrough", list_features(data, "integer", "number")),
        ("boolean", _build_switches(len(switches)), switches),
        ("timestamp", _build_clock(), list_features(data, "timestamp")),
    ]
    used = [step for step in steps if step[2]]
    return ColumnTransformer(used, remainder="drop", verbose_feature_names_out=False)


def build_linear_features(data: DataConfig) -> Any:
    """Build the column transformer of linear models: one-hot text, imputed and scaled numbers.

    It returns an array of shape (n, levels of the text features and the other features), sparse
    where most of it is zero.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    levels = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=RARE, max_categories=LEVELS
    )
    switches, times = list_features(data, "boolean"), list_features(data, "timestamp")
    steps = [
        ("text", levels, list_features(data, "text")),
        ("number", _build_scale(), list_features(data, "integer", "number")),
        ("boolean", make_pipeline(_build_switches(len(switches)), _build_scale()), switches),
        ("timestamp", make_pipeline(_build_clock(), _build_scale()), times),
    ]
    used = [step for step in steps if step[2]]
    return ColumnTransformer(used, remainder="drop", verbose_feature_names_out=False)


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
