"""A registered model with the record that a release writes, made without a server."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from sluice.adapters.machine import read_code_version, read_environment
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.tables.delta import append_batch, read_version
from sluice.adapters.tables.files import read_batch
from sluice.config.loading import dump_service, hash_service
from sluice.config.service import ServiceConfig
from sluice.home import SAMPLES, Home
from sluice.identity import ReleaseIdentity
from sluice.models.cross_validation import fit_configured
from sluice.models.export.onnx_export import SAMPLE_FILE, choose_rows, make_sample
from sluice.models.prediction import predict
from support.releases.encoded import MODEL
from support.releases.services import make_quick
from support.releases.verdicts import VERDICTS
from tasks.reproduction.train_model import split_again

ROWS = 1_200
SEED = 3


@dataclass(frozen=True)
class ReleasedModel:
    """A registered version, the home of its stores, and the repository of its code."""

    home: Home
    project: Path
    version: ModelVersionRef


def configure() -> ServiceConfig:
    """Return the default service with a small forest, whose trees depend on the seed."""
    forest = MODEL.validate_python({"kind": "random_forest", "trees": 12, "seed": SEED})
    return make_quick(margin=0.2).model_copy(update={"model": forest})


def write_rows(path: Path, rows: int = ROWS) -> Path:
    """Write the first rows of a survey."""
    pd.read_parquet(SAMPLES / "acs_employment_2015.parquet").head(rows).to_parquet(path)
    return path


def release_model(home: Home, project: Path) -> ReleasedModel:
    """Append rows, train, and register the model with what a release records of it."""
    config, registry = configure(), open_registry(home)
    uri, key = home.table(config.service), config.data.id
    batch: pa.Table = read_batch(write_rows(home.root / "rows.parquet"), config.data)
    append_batch(uri, batch, {}, key)
    table, data = read_version(uri, config.service, 0, key, config.data.columns)
    rows = split_again(config, table)
    pipeline = fit_configured(config, rows.training)
    identity = ReleaseIdentity(
        config.service,
        data,
        read_code_version(project),
        hash_service(config),
        read_environment(project / "requirements.lock"),
    )
    run_id = registry.start_run(config.service, "a release", identity.tags())
    registry.log_text(run_id, "config.yaml", dump_service(config))
    registry.log_facts(
        run_id,
        params={f"model.{key}": str(value) for key, value in config.model.model_dump().items()},
        metrics={"training/rows": len(rows.training)},
    )
    shown = choose_rows(rows.held_out)
    sample = make_sample(shown, predict(pipeline, shown, config.data, config.problem), config.data)
    example = rows.training[list(config.data.features)].head(3)
    version = registry.register_model(
        run_id,
        config.service,
        pipeline,
        example,
        pipeline.predict(example),
        {**VERDICTS, **identity.tags()},
        texts={SAMPLE_FILE: sample.to_json()},
    )
    return ReleasedModel(home, project, version)
