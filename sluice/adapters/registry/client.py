"""The client of the model registry: MLflow's runs and model versions, with our errors."""

from functools import lru_cache
from pathlib import Path

from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.models import Models
from sluice.adapters.registry.prompts import Prompts
from sluice.adapters.registry.runs import Runs
from sluice.adapters.registry.store import Store
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.security.keys import KeyRing
from sluice.home import Home, environment_name

__all__ = ["ModelVersionRef", "Registry", "open_registry"]


def open_registry(home: Home) -> "Registry":
    """Return the state folder's registry; it is read or created only when it is used."""
    return _open(home.tracking_uri, home.model_artifacts, home.keys(environment_name()))


@lru_cache(maxsize=8)
def _open(tracking_uri: str, artifact_root: Path, keys: Path) -> "Registry":
    return Registry(tracking_uri, artifact_root, keys)


class Registry(Runs, Models, Prompts):
    """Runs, their files, the versions of models with their aliases, and published prompts.

    Every method raises `RegistryUnavailable` when database, server or file system fail, within
    about 10 s, and `StorageFull` when the disk is full. Every method can be called again after
    such an error: an interrupted call is completed, never done twice.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path, keys: Path) -> None:
        """Begin; `keys` is the folder of the environment's keys, which sign what is registered."""
        self.tracking_uri = tracking_uri
        self.artifact_root = artifact_root
        super().__init__(Store(tracking_uri, artifact_root))
        self.keys = KeyRing(keys)

    @property
    def store(self) -> Store:
        """The MLflow calls, for the other modules of this package."""
        return self._store

    def prepare(self) -> None:
        """Create the database, or migrate an older one; about 3 s the first time.

        Raises:
            RegistryUnavailable: the database cannot be opened or stays locked.
        """
        with translate_faults(f"preparing the registry {self.tracking_uri}"):
            self._store.client()
