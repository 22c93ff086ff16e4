"""Train a version's model again; runs as a process with the code and environment of its commit.

`python -m tasks.reproduction.train_model FOLDER`: the folder has the task, the rows of the data
version, the registered model and its parity sample; the result is written beside them.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sluice.adapters.machine import read_environment
from sluice.adapters.registry.model_files import load_model
from sluice.adapters.registry.served import make_sample_frame
from sluice.config.loading import hash_service
from sluice.config.overrides import Overrides, apply_overrides
from sluice.config.service import ServiceConfig
from sluice.data.folds import assign_folds
from sluice.data.split import keep_types, split_rows
from sluice.home import LOCK
from sluice.models.cross_validation import fit_configured
from sluice.models.export.onnx_export import ParitySample
from sluice.models.prediction import predict
from sluice.models.training import find_threshold
from tasks.reproduction.handover import (
    HELD_OUT,
    MODEL,
    PARITY,
    RECORDED,
    REPRODUCED,
    ROWS,
    SAMPLE,
    read_job,
    write_predictions,
    write_result,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ReproducedRows:
    """The training rows, and those that both models predict, split as the release did."""

    training: "pd.DataFrame"
    held_out: "pd.DataFrame"


def train_again(folder: Path) -> None:
    """Split, train and predict as the release did, and write what came out.

    Raises:
        TrainingImpossible: no model can be trained on the rows.
    """
    import pyarrow.parquet as pq

    job = read_job(folder)
    recorded = ServiceConfig.model_validate(job["config"])
    config = apply_overrides(recorded, Overrides(seed=job["seed"]))
    rows = split_again(config, pq.read_table(folder / ROWS))
    model = fit_configured(config, rows.training)
    before = load_model(folder / MODEL)
    frames = {HELD_OUT: rows.held_out}
    if (folder / SAMPLE).exists():
        sample = ParitySample.from_json((folder / SAMPLE).read_bytes())
        if sample.records:
            frames[PARITY] = make_sample_frame(sample, config.data)
    for name, frame in frames.items():
        for label, pipeline in ((RECORDED, before), (REPRODUCED, model)):
            found = predict(pipeline, frame, config.data, config.problem)
            write_predictions(folder, label, name, found)
    environment = read_environment(LOCK)
    result = {
        "config_hash": hash_service(recorded),
        "lock_hash": environment.lock_hash,
        "python": environment.python,
        "platform": environment.platform,
        "seed": config.model.seed,
        "training_rows": len(rows.training),
        "held_out_rows": len(rows.held_out),
        "classes": {RECORDED: _list_classes(before), REPRODUCED: _list_classes(model)},
        "threshold": {RECORDED: find_threshold(before), REPRODUCED: find_threshold(model)},
    }
    write_result(folder, result)


def split_again(config: ServiceConfig, table: "pa.Table") -> ReproducedRows:
    """Split rows into training rows and held-out rows; with folds all rows are trained on.

    Raises:
        TrainingImpossible: the rows cannot be split as configured.
    """
    frame = table.to_pandas()
    if config.split.folds:
        held_out = assign_folds(frame, config.data, config.split).evaluated
        return ReproducedRows(frame, _take(table, held_out))
    split = split_rows(frame, config.data, config.split)
    return ReproducedRows(_take(table, split.training), _take(table, split.holdout))


def _take(table: "pa.Table", mask: "NDArray[np.bool_]") -> "pd.DataFrame":
    import pyarrow as pa

    return keep_types(table.filter(pa.array(mask)).to_pandas(), table)


def _list_classes(pipeline: Any) -> list[Any]:
    found = getattr(pipeline, "classes_", None)
    return [] if found is None else np.asarray(found).tolist()


if __name__ == "__main__":
    train_again(Path(sys.argv[1]))
