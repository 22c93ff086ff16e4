"""The model registry and the record of runs: MLflow, spoken to in this project's words."""

import json
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sluice.adapters.registry.aliases import choose_alias, promote
from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.store import Store
from sluice.adapters.registry.versions import (
    MODEL_FILE,
    SERVING_FOLDER,
    ModelVersionRef,
)
from sluice.data.version import DataVersion
from sluice.home import Home

if TYPE_CHECKING:
    import pandas as pd

    from sluice.adapters.registry.onnx_model import ServedModel

__all__ = ["ModelVersionRef", "Registry", "open_registry"]

BATCH = 100
"""Most parameters or tags that MLflow takes in one call."""
DIGEST_LENGTH = 36
"""Longest digest of a data set that MLflow keeps."""


def open_registry(home: Home) -> "Registry":
    """Give the home's registry; nothing is read or made until it is used."""
    return _open(home.tracking_uri, home.model_artifacts)


@lru_cache(maxsize=8)
def _open(tracking_uri: str, artifact_root: Path) -> "Registry":
    return Registry(tracking_uri, artifact_root)


class Registry:
    """Runs, their files, and the versions of each service's model with their aliases.

    Every method raises `RegistryUnavailable` when database, server or file system fail, within
    about 10 s, and `StorageFull` when the disk is full. Every method can be called again after
    such a fault: what was half done is finished, never doubled.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path) -> None:
        self.tracking_uri = tracking_uri
        self.artifact_root = artifact_root
        self._store = Store(tracking_uri, artifact_root)

    @property
    def store(self) -> Store:
        """MLflow's own calls, for the other files of this package."""
        return self._store

    def prepare(self) -> None:
        """Make the database, or bring an older one up to date; about 3 s the first time.

        Raises:
            RegistryUnavailable: the database cannot be opened or stays locked.
        """
        with translate_faults(f"preparing the registry {self.tracking_uri}"):
            self._store.client()

    def start_run(self, service: str, name: str, tags: Mapping[str, str]) -> str:
        """Open a run in the service's experiment and give its id.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"opening a run of {service}"):
            experiment = self._store.find_experiment(service)
            run = self._store.client().create_run(experiment, run_name=name, tags=dict(tags))
            return str(run.info.run_id)

    def find_run(self, service: str, tag: str, value: str) -> str:
        """Find the newest run that carries a tag and give its id; empty where there is none.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"looking for a run of {service}"):
            return self._store.find_run(service, tag, value)

    def end_run(self, run_id: str, status: str = "FINISHED") -> None:
        """Close a run as `FINISHED`, `FAILED` or `KILLED`.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"closing run {run_id}"):
            self._store.client().set_terminated(run_id, status)

    def log_facts(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Keep parameters, numbers and tags with a run; a parameter never changes its value.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"recording facts of run {run_id}"):
            client = self._store.client()
            from mlflow.entities import Metric, Param, RunTag
            from mlflow.utils.time import get_current_time_millis

            now = get_current_time_millis()
            entries = {
                "params": [Param(key, str(value)) for key, value in (params or {}).items()],
                "metrics": [
                    Metric(key, float(value), now, 0) for key, value in (metrics or {}).items()
                ],
                "tags": [RunTag(key, str(value)) for key, value in (tags or {}).items()],
            }
            for kind, items in entries.items():
                rest = iter(items)
                while batch := list(islice(rest, BATCH)):
                    client.log_batch(run_id, **{kind: batch})

    def log_bytes(self, run_id: str, name: str, content: bytes) -> None:
        """Keep a file with a run; `name` may have folders, `plots/roc.png`.

        Raises:
            RegistryUnavailable: the registry or its files cannot be reached.
            StorageFull: the disk is full.
        """
        path = PurePosixPath(name)
        with (
            translate_faults(f"keeping {name} of run {run_id}"),
            tempfile.TemporaryDirectory() as work,
        ):
            local = Path(work) / path.name
            local.write_bytes(content)
            folder = "" if path.parent == PurePosixPath() else str(path.parent)
            self._store.client().log_artifact(run_id, str(local), folder or None)

    def log_text(self, run_id: str, name: str, text: str) -> None:
        """Keep a text with a run, as UTF-8.

        Raises:
            RegistryUnavailable: the registry or its files cannot be reached.
            StorageFull: the disk is full.
        """
        self.log_bytes(run_id, name, text.encode())

    def log_json(self, run_id: str, name: str, value: Any) -> None:
        """Keep a value with a run, as indented JSON.

        Raises:
            RegistryUnavailable: the registry or its files cannot be reached.
            StorageFull: the disk is full.
        """
        self.log_text(run_id, name, json.dumps(value, indent=2, default=str) + "\n")

    def read_texts(self, run_id: str, folder: str) -> dict[str, str]:
        """Read every text that a run keeps in a folder, by name, sorted; empty where there is none.

        Raises:
            RegistryUnavailable: the registry or its files cannot be reached.
        """
        with (
            translate_faults(f"reading {folder} of run {run_id}"),
            tempfile.TemporaryDirectory() as work,
        ):
            client = self._store.client()
            files = [item.path for item in client.list_artifacts(run_id, folder) if not item.is_dir]
            read = {path: client.download_artifacts(run_id, path, work) for path in sorted(files)}
            return {
                PurePosixPath(path).name: Path(local).read_text(encoding="utf-8")
                for path, local in read.items()
            }

    def log_data_input(self, run_id: str, data: DataVersion, context: str) -> None:
        """Link a data version to a run as its input; `context` says for what, as `training`.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"recording the data of run {run_id}"):
            client = self._store.client()
            from mlflow.entities import Dataset, DatasetInput, InputTag

            dataset = Dataset(
                name=Path(data.uri).parent.name or data.uri,
                digest=data.content_hash[:DIGEST_LENGTH],
                source_type="delta",
                source=json.dumps({"uri": data.uri, "version": data.version}),
                profile=json.dumps({"rows": data.rows, "schema_hash": data.schema_hash}),
            )
            tags = [InputTag("mlflow.data.context", context)]
            client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags)])

    def find_alias(self, service: str, alias: str) -> ModelVersionRef | None:
        """Find the version that carries an alias; None where the service or the alias is unknown.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"looking for the {alias} of {service}"):
            return self._store.find_alias(service, alias)

    def load_model(self, version: ModelVersionRef) -> Any:
        """Load a version's pipeline; only reviewed types are made, whatever its files claim.

        Raises:
            ModelUntrusted: the model holds a type that nobody reviewed.
            RegistryUnavailable: the registry or the model's file cannot be reached.
        """
        with translate_faults(f"loading {version.uri}"), tempfile.TemporaryDirectory() as work:
            from sluice.adapters.registry.model_file import load_model

            return load_model(self._store.download_file(version, MODEL_FILE, Path(work)))

    def load_serving(self, version: ModelVersionRef) -> "ServedModel":
        """Load a version's served form, from files that hold plain values only.

        Raises:
            ServingImpossible: a file is damaged, or onnxruntime does not take it.
            RegistryUnavailable: it has none, or the registry or its files cannot be reached.
        """
        with translate_faults(f"loading {version.uri}"), tempfile.TemporaryDirectory() as work:
            from sluice.adapters.registry.onnx_model import load_serving

            return load_serving(self._store.download_file(version, SERVING_FOLDER, Path(work)))

    def register_model(  # noqa: PLR0913, PLR0917
        self,
        run_id: str,
        service: str,
        pipeline: Any,
        input_example: "pd.DataFrame",
        predictions_example: Any,
        tags: Mapping[str, str],
        description: str = "",
        *,
        serving: Path | None = None,
    ) -> ModelVersionRef:
        """Register a run's model as `candidate`, or as `champion` where the service has none.

        One that is tagged as waiting for a person's approval is candidate in any case. A run
        registers one version: asked again, it finds and completes that one. `serving` is the
        folder of its served form's files, which are kept beside it.

        Raises:
            ModelUntrusted: the model holds a type that nobody reviewed.
            RegistryUnavailable: the registry or its files cannot be reached.
            StorageFull: the disk is full.
        """
        with translate_faults(f"registering the model of run {run_id} for {service}"):
            found = self._store.find_version(service, run_id)
            if found is None:
                record = self._store.find_record(run_id)
                self._store.upload_model(
                    record, pipeline, input_example, predictions_example, serving
                )
                found = self._store.create_version(service, record, dict(tags), description)
            champion = self._store.find_alias(service, "champion")
            if alias := choose_alias(found, champion):
                self._store.set_alias(service, alias, found.version)
            return self._store.read_version(service, found.version)

    def promote(self, service: str) -> tuple[ModelVersionRef | None, ModelVersionRef]:
        """Make the candidate champion and the champion previous; give (previous, champion).

        Raises:
            PromotionRefused: there is no candidate, or it may not be promoted.
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"promoting the candidate of {service}"):
            return promote(self._store, service)
