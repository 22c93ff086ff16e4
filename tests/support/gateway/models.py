"""Models as the registry keeps them, for the tests of what serves them."""

from pathlib import Path
from typing import Any

import pandas as pd

from serving.models.cache import Manifest
from sluice.adapters.registry.client import ModelVersionRef, Registry
from sluice.adapters.registry.model_files import (
    MODEL_FILE,
    SERVING_FOLDER,
    save_model,
    save_serving,
)
from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.models.export.form import SAMPLE_FILE, build_onnx_export, choose_rows, make_sample
from sluice.models.prediction import predict
from support.gateway.towns import DATA, Towns, fit_towns, make_rows

CONFIG = "problem: binary\nmodel: {{kind: hist_gradient_boosting}}\ndata: {data}\n"


def write_model_files(
    folder: Path, pipeline: Any, asked: pd.DataFrame, data: DataConfig, problem: Problem
) -> Path:
    """Write a model's files as a release does: pipeline, served form, parity sample."""
    folder.mkdir(parents=True, exist_ok=True)
    save_model(pipeline, folder / MODEL_FILE)
    save_serving(build_onnx_export(pipeline, data), folder / SERVING_FOLDER)
    rows = choose_rows(asked)
    sample = make_sample(rows, predict(pipeline, rows, data, problem), data)
    (folder / SAMPLE_FILE).write_text(sample.to_json(), encoding="utf-8")
    return folder


def write_towns(folder: Path) -> Towns:
    """Write the small gradient boosting on texts, numbers, booleans and nulls; give it."""
    pipeline, asked = fit_towns("hist_gradient_boosting", iterations=15), make_rows(2)
    return Towns(write_model_files(folder, pipeline, asked, DATA, "binary"), pipeline, asked)


def describe_model(
    data: DataConfig, problem: Problem, version: int = 1, **changes: Any
) -> Manifest:
    """Give the facts of a version, its files still to be hashed."""
    facts: dict[str, Any] = {
        "service": "towns",
        "version": version,
        "run_id": "run",
        "kind": "some",
        "problem": problem,
        "form": "onnx",
        "data": data.model_dump(mode="json"),
        "files": {},
    }
    return Manifest(**{**facts, **changes})


def register_towns(
    registry: Registry, towns: Towns, service: str, form: str = "onnx", **texts: str
) -> ModelVersionRef:
    """Register the small model as a release does; give the version."""
    run_id = registry.start_run(service, "a release", {})
    config = CONFIG.format(data=towns.data.model_dump_json())
    registry.log_text(run_id, "config.yaml", config)
    example = towns.asked[list(towns.data.features)].head(3)
    return registry.register_model(
        run_id,
        service,
        towns.pipeline,
        example,
        towns.pipeline.predict(example),
        {"sluice.serving.form": form},
        serving=towns.folder / "serving" if form == "onnx" else None,
        texts={SAMPLE_FILE: (towns.folder / SAMPLE_FILE).read_text(), **texts},
    )
