"""A service's model beside a plain gradient boosting, on the same held-out rows.

`python -m benchmarks.own_data.comparison NAME`, with the folders of the data set in the
environment. It prints JSON.
"""

import json
import sys
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmarks.own_data.plain import fit_plain
from sluice.config.data import SplitConfig
from sluice.config.service import ServiceConfig
from sluice.home import environment_name, find_home
from sluice.metrics import METRICS
from sluice.stats.holdout import Predictions, mark_class, mark_predictions

if TYPE_CHECKING:
    import pandas as pd

FEW_ROWS = 2000
"""Held-out rows below which a figure is the mean of five splits."""
SPLITS = 5
SHARES = (0.2, 0.25, 0.3, 0.35, 0.4)
"""Shares of held-out rows of the five splits by time, which has no seed."""


@dataclass(frozen=True)
class Figures:
    """One metric on one split: the service's model, and the plain one on two sets of columns."""

    service: float
    plain: float
    plain_all: float


def main() -> None:
    print(json.dumps(compare(sys.argv[1])))


def compare(service: str) -> dict[str, Any]:
    """Return the mean figures of a service and of the plain model, with what they are based on."""
    from sluice.config.loading import load_service
    from sluice.data.split import split_rows

    config = load_service(service, environment_name())
    rows = read_rows(config)
    held_out = split_rows(rows, config.data, config.split).holdout_rows
    splits = list_splits(config.split) if held_out < FEW_ROWS else [config.split]
    found = [measure_split(config, rows, split) for split in splits]
    metric = METRICS[config.evaluation.primary]
    figures = {key: fmean(getattr(item, key) for item in found) for key in Figures.__annotations__}
    return {
        "problem": config.problem,
        "metric": metric.name,
        "greater_is_better": metric.greater_is_better,
        "model": config.model.model_dump(exclude_defaults=True, mode="json"),
        "split": config.split.by,
        "group": config.split.group,
        "held_out": held_out,
        "splits": len(splits),
        "columns": list(config.data.columns),
        "features": list(config.data.features),
        **figures,
    }


def list_splits(split: SplitConfig) -> list[SplitConfig]:
    """Return five splits of the kind of a service's own: by seed, or by share where by time."""
    if split.by == "time":
        return [split.model_copy(update={"holdout": share}) for share in SHARES]
    return [split.model_copy(update={"seed": split.seed + place}) for place in range(SPLITS)]


def read_rows(config: ServiceConfig) -> "pd.DataFrame":
    """Return the rows of the service's newest data version."""
    from sluice.adapters.tables.delta import latest_version, read_version

    uri = find_home().table(config.service)
    newest = latest_version(uri, config.service)
    table, _ = read_version(uri, config.service, newest, config.data.id)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def measure_split(config: ServiceConfig, rows: "pd.DataFrame", split: SplitConfig) -> Figures:
    """Return the figures on a split; on the service's own by the model that was registered."""
    from sluice.data.split import split_rows
    from sluice.models.prediction import predict
    from sluice.models.training import fit_model

    data, problem = config.data, config.problem
    parts = split_rows(rows, data, split)
    training = rows[parts.training].reset_index(drop=True)
    held = rows[parts.holdout].reset_index(drop=True)
    pipeline = find_registered(config.service) if split == config.split else None
    if pipeline is None:
        pipeline = fit_model(problem, config.model, data, training, training[data.target])
    predictions = predict(pipeline, held, data, problem)
    if problem == "binary":
        predictions = mark_predictions(predictions, data.positive)
    others = tuple(name for name in data.columns if name not in (data.target, data.id))
    plain = [fit_plain(training, held, columns, config) for columns in (data.features, others)]
    figures = [_measure(config, held, found) for found in (predictions, *plain)]
    return Figures(*figures)


def find_registered(service: str) -> Any:
    """Return the registered model of the service's newest version; None where there is none."""
    from sluice.adapters.registry.client import open_registry

    registry = open_registry(find_home())
    for alias in ("champion", "candidate"):
        if version := registry.find_alias(service, alias):
            return registry.load_model(version)
    return None


def _measure(config: ServiceConfig, held: "pd.DataFrame", predictions: Predictions) -> float:
    y = held[config.data.target].to_numpy()
    if config.problem == "binary":
        y = mark_class(y, config.data.positive)
    return METRICS[config.evaluation.primary].compute(config.problem, y, predictions)


if __name__ == "__main__":
    main()
