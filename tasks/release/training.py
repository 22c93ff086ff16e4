"""Training of the candidate on the training rows."""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect import get_run_logger

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.model_files import load_model, save_model
from sluice.config.service import ServiceConfig
from sluice.home import find_home
from sluice.models.cross_validation import fit_configured
from tasks.release.release import Release
from tasks.release.rows import RowSplit, read_part
from tasks.run.decorators import effect


@dataclass(frozen=True)
class TrainedModel:
    """A fitted pipeline's file, its number of training rows and the seconds of the fit."""

    path: str
    rows: int
    seconds: float

    @property
    def file(self) -> Path:
        """The model file."""
        return Path(self.path)

    def open(self) -> Any:
        """Return the pipeline of the file, which one process reads and checks once.

        Raises:
            ModelUntrusted: the file contains a type that was not reviewed.
        """
        return _read_model(self.path, self.file.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_model(path: str, written: int) -> Any:
    """Read a model file; `written`, its modification time, identifies a newer file."""
    return load_model(Path(path))


@effect
def train_model(config: ServiceConfig, release: Release, split: RowSplit) -> TrainedModel:
    """Fit the configured pipeline and write it to the release's scratch folder.

    Raises:
        TrainingImpossible: no model can be trained on the rows.
        Fault: the table or the registry cannot be reached.
    """
    log = get_run_logger()
    frame = read_part(config, release, split, "training")
    log.info("training %s on %s rows", config.model.kind, f"{len(frame):,}")
    started = time.perf_counter()
    pipeline = fit_configured(config, frame, progress=log.info)
    seconds = time.perf_counter() - started
    path = release.folder / "model.skops"
    save_model(pipeline, path)
    open_registry(find_home()).log_facts(
        release.run_id,
        params={f"model.{key}": str(value) for key, value in config.model.model_dump().items()},
        metrics={"training/rows": len(frame), "training/seconds": seconds},
    )
    log.info("trained in %.1f s", seconds)
    return TrainedModel(str(path), len(frame), seconds)
