"""Models as the registry has them, for the tests of the gateway."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from serving.models.cache import Manifest
from sluice.adapters.registry.client import ModelVersionRef, Registry
from sluice.adapters.registry.model_files import (
    MODEL_FILE,
    SERVING_FOLDER,
    save_export,
    save_model,
)
from sluice.adapters.registry.signing import sign_run
from sluice.adapters.security.keys import KeyRing, sign_folder
from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.models.export.onnx_export import (
    SAMPLE_FILE,
    build_onnx_export,
    choose_rows,
    make_sample,
)
from sluice.models.prediction import predict
from support.gateway.towns import DATA, Towns, fit_towns, make_rows
from support.releases.verdicts import PASSED

CONFIG = "problem: binary\nmodel: {{kind: hist_gradient_boosting}}\ndata: {data}\n"


def write_model_files(
    folder: Path, pipeline: Any, held_out: pd.DataFrame, data: DataConfig, problem: Problem
) -> Path:
    """Write a model's files as a release does: native model, ONNX export, parity sample."""
    folder.mkdir(parents=True, exist_ok=True)
    save_model(pipeline, folder / MODEL_FILE)
    save_export(build_onnx_export(pipeline, data), folder / SERVING_FOLDER)
    rows = choose_rows(held_out)
    sample = make_sample(rows, predict(pipeline, rows, data, problem), data)
    (folder / SAMPLE_FILE).write_text(sample.to_json(), encoding="utf-8")
    return folder


def write_towns(folder: Path) -> Towns:
    """Write a small gradient boosting model on texts, numbers, booleans and nulls; return it."""
    pipeline, held_out = fit_towns("hist_gradient_boosting", iterations=15), make_rows(2)
    return Towns(write_model_files(folder, pipeline, held_out, DATA, "binary"), pipeline, held_out)


def describe_model(
    data: DataConfig, problem: Problem, version: int = 1, **changes: Any
) -> Manifest:
    """Return the facts of a version, without the hashes of its files."""
    facts: dict[str, Any] = {
        "service": "towns",
        "version": version,
        "run_id": "run",
        "kind": "some",
        "problem": problem,
        "form": "onnx",
        "data": data.model_dump(mode="json"),
        "files": {},
        "admitted": "every gate passed it",
    }
    return Manifest(**{**facts, **changes})


def sign_model(manifest: Manifest, source: Path, keys: KeyRing) -> Manifest:
    """Return the facts of a version with a signature of its files, as its release makes one."""
    facts = {"problem": manifest.problem, "model": {"kind": manifest.kind}, "data": manifest.data}
    config, who = json.dumps(facts), ("a test", "a model of the test")
    text = sign_folder(keys, manifest.service, manifest.run_id, source, config, *who)
    return replace(manifest, config=config, signature=text)


def sign_stored(registry: Registry, version: ModelVersionRef) -> None:
    """Sign a version's files as they are in the registry now: what somebody with the key can do."""
    with TemporaryDirectory() as work:
        folder = registry.download_model(version, Path(work))
        sign_run(registry.store, registry.keys, version.service, version.run_id, folder)


def register_towns(
    registry: Registry,
    towns: Towns,
    service: str,
    form: str = "onnx",
    verdicts: Mapping[str, str] = PASSED,
    **texts: str,
) -> ModelVersionRef:
    """Register the small model as a release does, with these verdicts; return the version."""
    run_id = registry.start_run(service, "a release", {})
    config = CONFIG.format(data=towns.data.model_dump_json())
    registry.log_text(run_id, "config.yaml", config)
    example = towns.held_out[list(towns.data.features)].head(3)
    return registry.register_model(
        run_id,
        service,
        towns.pipeline,
        example,
        towns.pipeline.predict(example),
        {**verdicts, "sluice.serving.form": form},
        serving=towns.folder / "serving" if form == "onnx" else None,
        texts={SAMPLE_FILE: (towns.folder / SAMPLE_FILE).read_text(), **texts},
    )
