"""Runs of the registry: they are opened and closed, and keep facts and files."""

import json
import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.store import Store
from sluice.adapters.registry.versions import FLOW_RUN
from sluice.data.version import DataVersion
from sluice.errors import RegistryUnavailable

BATCH = 100
"""Most parameters or tags that MLflow accepts in one call."""
DIGEST_LENGTH = 36
"""Longest digest of a data set that MLflow stores."""
SUCCESSOR = "sluice.successor"
"""Tag of a killed run: the id of the run that followed it."""


class Runs:
    """The runs of every service, each in the service's experiment."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start_run(self, service: str, name: str, tags: Mapping[str, str]) -> str:
        """Open a run in the service's experiment and return its id.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"opening a run of {service}"):
            experiment = self._store.find_experiment(service)
            run = self._store.client().create_run(experiment, run_name=name, tags=dict(tags))
            return str(run.info.run_id)

    def find_run(self, service: str, tags: Mapping[str, str], status: str = "") -> str:
        """Return the id of the newest run with these tags; empty where there is none.

        `status` selects runs in one status: `RUNNING`, `FINISHED`, `FAILED` or `KILLED`.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"looking for a run of {service}"):
            found = self._store.list_runs(service, tags, status)
            return str(found[0].info.run_id) if found else ""

    def end_run(self, run_id: str, status: str = "FINISHED") -> None:
        """Close a run as `FINISHED`, `FAILED` or `KILLED`.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"closing run {run_id}"):
            self._store.client().set_terminated(run_id, status)

    def end_lost_runs(self, service: str, successor: str) -> list[str]:
        """Close as `KILLED` every open run of a flow except the successor's; return their ids.

        Each gets a tag with the successor's id. The caller must hold the service's lease.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"closing the lost runs of {service}"):
            client = self._store.client()
            lost = [
                str(run.info.run_id)
                for run in self._store.list_runs(service, {}, "RUNNING")
                if FLOW_RUN in run.data.tags and run.info.run_id != successor
            ]
            for run_id in lost:
                client.set_tag(run_id, SUCCESSOR, successor)
                client.set_terminated(run_id, "KILLED")
            return lost

    def log_facts(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log parameters, numbers and tags of a run; a parameter never changes its value.

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
        """Log a file of a run; `name` may have folders, such as `plots/roc.png`.

        Raises:
            RegistryUnavailable: the registry or its files cannot be reached.
            StorageFull: the disk is full.
        """
        path = PurePosixPath(name)
        with (
            translate_faults(f"logging {name} of run {run_id}"),
            tempfile.TemporaryDirectory() as work,
        ):
            local = Path(work) / path.name
            local.write_bytes(content)
            folder = "" if path.parent == PurePosixPath() else str(path.parent)
            self._store.client().log_artifact(run_id, str(local), folder or None)

    def log_text(self, run_id: str, name: str, text: str) -> None:
        """Log a text file of a run, as UTF-8.

        Raises:
            RegistryUnavailable: the registry or its files cannot be reached.
            StorageFull: the disk is full.
        """
        self.log_bytes(run_id, name, text.encode())

    def log_json(self, run_id: str, name: str, value: Any) -> None:
        """Log a value of a run, as indented JSON.

        Raises:
            RegistryUnavailable: the registry or its files cannot be reached.
            StorageFull: the disk is full.
        """
        self.log_text(run_id, name, json.dumps(value, indent=2, default=str) + "\n")

    def find_text(self, run_id: str, name: str) -> str | None:
        """Return the text of a run's file; None where the run has no such file.

        Raises:
            RegistryUnavailable: the registry or its files cannot be reached.
        """
        folder = str(PurePosixPath(name).parent)
        with (
            translate_faults(f"reading {name} of run {run_id}"),
            tempfile.TemporaryDirectory() as work,
        ):
            client = self._store.client()
            listed = client.list_artifacts(run_id, None if folder == "." else folder)
            if name not in {item.path for item in listed}:
                return None
            local = client.download_artifacts(run_id, name, work)
            return Path(local).read_text(encoding="utf-8")

    def read_text(self, run_id: str, name: str) -> str:
        """Return the text of a run's file.

        Raises:
            RegistryUnavailable: it is missing, or the registry or its files cannot be reached.
        """
        found = self.find_text(run_id, name)
        if found is None:
            raise RegistryUnavailable(f"reading {name} of run {run_id}: the run has no such file")
        return found

    def read_texts(self, run_id: str, folder: str) -> dict[str, str]:
        """Return the texts of the files in a run's folder, by name, sorted; it may be empty.

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
        """Log a data version as input of a run; `context` is its use, such as `training`.

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
