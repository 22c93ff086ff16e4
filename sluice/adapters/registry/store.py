"""MLflow's calls, one step each; errors are not translated."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.adapters.registry.faults import check_database, find_database, import_mlflow
from sluice.adapters.registry.model_files import SERVING_FOLDER
from sluice.adapters.registry.versions import (
    ModelVersionRef,
    fit_description,
    read_version,
    write_model,
)
from sluice.adapters.storage import hold_lock
from sluice.errors import RegistryUnavailable

if TYPE_CHECKING:
    import pandas as pd

MIGRATION_SECONDS = 120.0
MISSING = "RESOURCE_DOES_NOT_EXIST"
TAKEN = "RESOURCE_ALREADY_EXISTS"


class Store:
    """One MLflow server or database; MLflow's global settings are neither read nor set."""

    def __init__(self, tracking_uri: str, artifact_root: Path) -> None:
        self.tracking_uri = tracking_uri
        self.artifact_root = artifact_root
        self._client: Any = None

    def client(self) -> Any:
        """Return MLflow's client; the first call creates or migrates a SQLite database.

        Two processes that call it at the same time wait for each other.
        """
        if self._client is None:
            mlflow = import_mlflow()
            with self._guard_database():
                client = mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)
                client.search_registered_models(max_results=1)
            self._client = client
        return self._client

    @contextmanager
    def _guard_database(self) -> Iterator[None]:
        database = find_database(self.tracking_uri)
        if database is None:
            yield
            return
        with hold_lock(database.with_name("prepare.lock"), MIGRATION_SECONDS):
            check_database(database)
            yield

    def find_experiment(self, service: str) -> str:
        """Return the id of the service's experiment; a deleted experiment is restored."""
        from mlflow.exceptions import MlflowException

        found = self.client().get_experiment_by_name(service)
        if found is None:
            try:
                return str(self.client().create_experiment(service, self._locate(service)))
            except MlflowException as error:
                if error.error_code != TAKEN:
                    raise
            found = self.client().get_experiment_by_name(service)
        if found.lifecycle_stage == "deleted":
            self.client().restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _locate(self, service: str) -> str | None:
        """Return where an experiment's files go; None: the server decides."""
        return None if self._served else (self.artifact_root / service).as_uri()

    @property
    def _served(self) -> bool:
        return self.tracking_uri.startswith(("http://", "https://"))

    def find_alias(self, service: str, alias: str) -> ModelVersionRef | None:
        """Return the version with the alias; None where service or alias are unknown."""
        from mlflow.exceptions import MlflowException

        try:
            aliases = self.client().get_registered_model(service).aliases
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
            return None
        return self.read_version(service, int(aliases[alias])) if alias in aliases else None

    def set_alias(self, service: str, alias: str, version: int) -> None:
        """Set an alias to a version."""
        self.client().set_registered_model_alias(service, alias, str(version))

    def read_version(self, service: str, version: int) -> ModelVersionRef:
        """Return the current state of a version."""
        return read_version(self.client().get_model_version(service, str(version)))

    def find_number(self, service: str, version: int) -> ModelVersionRef | None:
        """Return a version by its number; None where there is none, or it was deleted."""
        query = f"name='{service}' and version_number={version}"
        found = self.client().search_model_versions(query)
        return self.read_version(service, version) if found else None

    def find_version(self, service: str, run_id: str) -> ModelVersionRef | None:
        """Return the version that the run registered; None where there is none yet."""
        found = self.list_versions(service, f"run_id='{run_id}'")
        return found[0] if found else None

    def list_versions(self, service: str, filters: str = "") -> list[ModelVersionRef]:
        """Return the service's versions that match the filter, without their aliases."""
        query = " and ".join(item for item in (f"name='{service}'", filters) if item)
        return [read_version(found) for found in self.client().search_model_versions(query)]

    def tag_version(self, service: str, version: int, tag: str, value: str) -> None:
        """Set a tag of a version."""
        self.client().set_model_version_tag(service, str(version), tag, value)

    def list_runs(self, service: str, tags: Mapping[str, str], status: str = "") -> list[Any]:
        """Return the service's runs with the tags and the status, newest first."""
        filters = [f"tags.`{tag}` = '{value}'" for tag, value in tags.items()]
        filters += [f"attributes.status = '{status}'"] if status else []
        experiment = self.find_experiment(service)
        return list(self.client().search_runs([experiment], " and ".join(filters)))

    def find_record(self, run_id: str) -> Any:
        """Return MLflow's record of the run's model; it is created where there is none.

        It is linked to the run before any file is written, so that a second attempt finds it.
        """
        client = self.client()
        from mlflow.entities import LoggedModelOutput

        run = client.get_run(run_id)
        outputs = run.outputs.model_outputs if run.outputs else []
        if outputs:
            return client.get_logged_model(outputs[0].model_id)
        experiment = run.info.experiment_id
        record = client.create_logged_model(experiment, name="model", source_run_id=run_id)
        client.log_outputs(run_id, [LoggedModelOutput(record.model_id, 0)])
        return record

    def upload_model(  # noqa: PLR0913, PLR0917
        self,
        record: Any,
        pipeline: Any,
        example: "pd.DataFrame",
        predictions: Any,
        serving: Path | None,
        texts: Mapping[str, str],
        sign: Callable[[Path], object],
    ) -> None:
        """Upload the model's files to its record, unless an earlier attempt completed it.

        `sign` is called with the folder before a file of it leaves this machine.
        """
        if record.status == "READY":
            return
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work) / "model"
            write_model(folder, record, pipeline, example, predictions)
            if serving is not None:
                shutil.copytree(serving, folder / SERVING_FOLDER)
            for name, text in texts.items():
                (folder / name).write_text(text, encoding="utf-8")
            sign(folder)
            self.client().log_model_artifacts(record.model_id, str(folder))
        self.client().finalize_logged_model(record.model_id, "READY")

    def download_file(self, version: ModelVersionRef, name: str, folder: Path) -> Path:
        """Copy a file or folder of a version's model into a folder and return its path.

        An empty name copies all files.

        Raises:
            RegistryUnavailable: it is missing or cannot be fetched.
        """
        client = self.client()
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        place = client.get_model_version_download_uri(version.service, str(version.version))
        try:
            path = download_artifacts(
                artifact_uri=f"{place}/{name}",
                dst_path=str(folder),
                tracking_uri=self.tracking_uri,
            )
        except MlflowException as error:
            raise RegistryUnavailable(f"{version.uri}: cannot fetch {name} of {place}") from error
        return Path(path)

    def create_version(
        self, service: str, record: Any, tags: dict[str, str], description: str
    ) -> ModelVersionRef:
        """Register a record as the service's next version, its tags in the same transaction."""
        from mlflow.exceptions import MlflowException

        try:
            self.client().create_registered_model(service)
        except MlflowException as error:
            if error.error_code != TAKEN:
                raise
        # A database resolves `models:/` through MLflow's global address, which we do not set.
        source = f"models:/{record.model_id}" if self._served else record.artifact_location
        found = self.client().create_model_version(
            service,
            source,
            run_id=record.source_run_id,
            tags=tags,
            description=fit_description(description),
            model_id=record.model_id,
        )
        return read_version(found)
