"""Versions of each service's model in the registry, and their aliases."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.adapters.registry.aliases import (
    CANDIDATE,
    CHAMPION,
    PREVIOUS,
    choose_alias,
    drop_alias,
    make_champion,
    promote,
    revert_promotion,
)
from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.model_files import MODEL_FILE, SERVING_FOLDER
from sluice.adapters.registry.signing import sign_run
from sluice.adapters.registry.store import Store
from sluice.adapters.registry.versions import (
    FLOW_RUN,
    ORPHANED,
    REGISTERED,
    ModelVersionRef,
)
from sluice.adapters.security.keys import KeyRing
from sluice.errors import LeaseLost

if TYPE_CHECKING:
    import pandas as pd

    from sluice.adapters.registry.model_files import ExportedModel

NOTHING: Mapping[str, str] = {}


class Models:
    """The versions of every service's model; a run registers at most one version."""

    keys: KeyRing
    """The environment's keys, which sign what is registered."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find_alias(self, service: str, alias: str) -> ModelVersionRef | None:
        """Return the version with an alias; None where the service or the alias is unknown.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"looking for the {alias} of {service}"):
            return self._store.find_alias(service, alias)

    def load_model(self, version: ModelVersionRef) -> Any:
        """Load a version's pipeline; only reviewed types are loaded.

        Raises:
            ModelUntrusted: the model contains a type that was not reviewed.
            RegistryUnavailable: the registry or the model's file cannot be reached.
        """
        with translate_faults(f"loading {version.uri}"), tempfile.TemporaryDirectory() as work:
            from sluice.adapters.registry.model_files import load_model

            return load_model(self._store.download_file(version, MODEL_FILE, Path(work)))

    def load_export(self, version: ModelVersionRef) -> "ExportedModel":
        """Load a version's ONNX export, from files that contain plain values only.

        Raises:
            ServingImpossible: a file is damaged, or onnxruntime cannot load it.
            RegistryUnavailable: there is none, or the registry or its files cannot be reached.
        """
        with translate_faults(f"loading {version.uri}"), tempfile.TemporaryDirectory() as work:
            from sluice.adapters.registry.model_files import load_export

            return load_export(self._store.download_file(version, SERVING_FOLDER, Path(work)))

    def download_model(self, version: ModelVersionRef, folder: Path) -> Path:
        """Copy all files of a version's model into a folder and return the copy's path.

        Raises:
            RegistryUnavailable: the registry or its files cannot be reached.
            StorageFull: the disk is full.
        """
        with translate_faults(f"fetching {version.uri}"):
            return self._store.download_file(version, "", folder)

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
        texts: Mapping[str, str] = NOTHING,
        confirm: Callable[[], object] = lambda: None,
        serves: int | None = None,
    ) -> ModelVersionRef:
        """Register a run's model as `candidate`, or as `champion` where the service has none.

        `serves` is the champion of the control store's route: with one, the version becomes
        candidate, whatever the registry's alias. So does one that waits for approval. A run
        registers one version: a second call completes that one. `serving` is the folder of the
        ONNX export's files, `texts` holds further files by name; they are kept with the model.
        `confirm` is called after the version is created and before it gets its alias; where it
        raises `LeaseLost` the version is tagged as orphaned and gets no alias.

        Raises:
            LeaseLost: `confirm` raised it.
            ModelUntrusted: the model contains a type that was not reviewed.
            RegistryUnavailable: the registry or its files cannot be reached.
            StorageFull: the disk is full.
        """
        with translate_faults(f"registering the model of run {run_id} for {service}"):
            found = self._store.find_version(service, run_id)
            if found is None:
                record = self._store.find_record(run_id)
                self._store.upload_model(
                    record,
                    pipeline,
                    input_example,
                    predictions_example,
                    serving,
                    texts,
                    lambda folder: sign_run(self._store, self.keys, service, run_id, folder),
                )
                found = self._store.create_version(service, record, dict(tags), description)
            try:
                confirm()
            except LeaseLost:
                self._orphan(found)
                raise
            return self._complete(found, serves)

    def find_registered(self, service: str, flow_run: str) -> ModelVersionRef | None:
        """Return the version that a flow run registered, even if it has no alias yet.

        None where there is none, or where the run had already lost its lease.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"looking for what flow run {flow_run} registered"):
            found = self._store.list_versions(service, f"tags.`{FLOW_RUN}` = '{flow_run}'")
            return next((item for item in found if ORPHANED not in item.tags), None)

    def finish_registration(
        self, version: ModelVersionRef, serves: int | None = None
    ) -> ModelVersionRef:
        """Give a version the alias that its run did not set before it died; at most once.

        `serves` is the champion of the control store's route.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"finishing the registration of {version.uri}"):
            return self._complete(version, serves)

    def _complete(self, version: ModelVersionRef, serves: int | None) -> ModelVersionRef:
        """Set the alias once; a version gets none where a newer one has been registered."""
        store, service = self._store, version.service
        if REGISTERED not in version.tags:
            newer = [
                item for item in store.list_versions(service) if item.version > version.version
            ]
            overtaken = any(REGISTERED in item.tags for item in newer)
            champion = store.find_alias(service, CHAMPION)
            alias = choose_alias(version, champion, serves)
            if alias and not overtaken:
                store.set_alias(service, alias, version.version)
            had = CHAMPION if champion and champion.version == version.version else "none"
            alias_tag = "overtaken" if overtaken else alias or had
            store.tag_version(service, version.version, REGISTERED, alias_tag)
            if alias_tag == CANDIDATE and store.find_alias(service, CANDIDATE) is None:
                store.set_alias(service, CANDIDATE, version.version)  # a rollout's end removed it
        return store.read_version(service, version.version)

    def _orphan(self, version: ModelVersionRef) -> None:
        """Tag a version whose run lost its lease, unless the next run completed the version."""
        now = self._store.read_version(version.service, version.version)
        if REGISTERED not in now.tags:
            self._store.tag_version(version.service, version.version, ORPHANED, "true")

    def promote(
        self, service: str, serves: int | None = None
    ) -> tuple[ModelVersionRef | None, ModelVersionRef]:
        """Make the candidate champion and the champion previous; return (previous, champion).

        `serves` is the champion of the control store's route.

        Raises:
            PromotionRefused: there is no candidate, or it must not be promoted.
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"promoting the candidate of {service}"):
            return promote(self._store, service, serves)

    def make_champion(
        self, service: str, version: int, serves: int | None = None
    ) -> ModelVersionRef | None:
        """Make a version champion and the champion before it previous; return the previous one.

        `serves` is the champion of the control store's route.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"making {service} v{version} champion"):
            return make_champion(self._store, service, version, serves)

    def revert_promotion(self, service: str, champion: int, candidate: int) -> None:
        """Give the alias `champion` back to a champion, and remove the candidate's aliases.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"reverting the promotion of {service} v{candidate}"):
            revert_promotion(self._store, service, champion, candidate)

    def drop_previous(self, service: str, version: int) -> None:
        """Remove the alias `previous` from a version, unless another version has it.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        with translate_faults(f"removing the previous version of {service}"):
            drop_alias(self._store, service, PREVIOUS, version)
