"""Models on this machine's disk, by the sha256 of their files; each is complete or absent.

The fetcher writes, workers read. An index file a version names the folder, or says why the version
was refused. Whoever opens a model proves every byte against the name that the index gives.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from sluice.adapters.registry.model_files import (
    ANSWERING_FILE,
    GRAPH_FILE,
    MODEL_FILE,
    PREPROCESSING_FILE,
    SERVING_FOLDER,
)
from sluice.adapters.storage import explain_os_error, hold_lock, write_whole
from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.errors import DataMissing, ModelDamaged
from sluice.models.export.form import SAMPLE_FILE

MANIFEST_FILE = "manifest.json"
SERVED_FILES = tuple(
    f"{SERVING_FOLDER}/{name}" for name in (GRAPH_FILE, PREPROCESSING_FILE, ANSWERING_FILE)
)
FILES = (MODEL_FILE, *SERVED_FILES, SAMPLE_FILE)
"""Every file that a cached model may have; nothing else is copied, and nothing else is read."""


@dataclass(frozen=True)
class Manifest:
    """A version's facts, and the sha256 of each of its files; its own sha256 names the folder.

    `form` is what the parity gate let serve, `data` the configuration of the data, `kind` the
    estimator's.
    """

    service: str
    version: int
    run_id: str
    kind: str
    problem: Problem
    form: Literal["onnx", "sklearn"]
    data: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def data_config(self) -> DataConfig:
        """What the model's columns mean.

        Raises:
            ModelDamaged: it is no such configuration.
        """
        try:
            return DataConfig.model_validate(self.data)
        except ValidationError as error:
            raise ModelDamaged(f"{self.name}: its data configuration is not one") from error

    @property
    def name(self) -> str:
        """The version as people say it: `employment v3`."""
        return f"{self.service} v{self.version}"

    @property
    def digest(self) -> str:
        """The hexadecimal sha256 of the manifest as it is written."""
        return sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """Write the manifest, the same for the same facts."""
        return (json.dumps(asdict(self), sort_keys=True, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            ModelDamaged: it is something else, or names a file that no model has.
        """
        try:
            found = cls(**json.loads(content))
            strange = sorted(set(found.files) - set(FILES))
        except (ValueError, TypeError) as error:
            raise ModelDamaged(f"{MANIFEST_FILE} is not one; fetch the model again") from error
        if strange:
            raise ModelDamaged(f"{MANIFEST_FILE} names '{strange[0]}'; allowed: {', '.join(FILES)}")
        return found


DRAFT = ".draft-"
LOCK_SECONDS = 300.0
"""Longest wait for another fetcher, which may have a large model on its way."""


@dataclass(frozen=True)
class CacheEntry:
    """An index file: the folder of a version, or why the version cannot serve."""

    service: str
    version: int
    digest: str = ""
    refused: str = ""


class ModelCache:
    """The folder of all cached models; nothing is made before something is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, service: str, version: int) -> CacheEntry | None:
        """Give the index of a version; None where it was not fetched yet, or is unreadable."""
        try:
            values = json.loads(self._index(service, version).read_bytes())
            entry = CacheEntry(**values)
        except (OSError, ValueError, TypeError):
            return None
        return entry if (entry.service, entry.version) == (service, version) else None

    def open(self, entry: CacheEntry) -> tuple[Manifest, Path]:
        """Give a model's manifest and folder, every file proved to be what was fetched.

        Raises:
            DataMissing: there is no folder, or a file of it is gone.
            ModelDamaged: the version was refused, or a file is not what was fetched.
            DataUnavailable: a file cannot be read right now.
        """
        name = f"cached model {entry.service} v{entry.version}"
        if entry.refused:
            raise ModelDamaged(f"{name} was refused: {entry.refused}")
        folder = self.folder / entry.digest
        try:
            content = (folder / MANIFEST_FILE).read_bytes()
            if not entry.digest or sha256(content).hexdigest() != entry.digest:
                raise ModelDamaged(f"{name}: {MANIFEST_FILE} is not what was fetched")
            manifest = Manifest.from_json(content)
            for file, wanted in manifest.files.items():
                if _hash_file(folder / file) != wanted:
                    raise ModelDamaged(f"{name}: {file} is cut short or not what was fetched")
        except FileNotFoundError as error:
            raise DataMissing(f"{name}: there is no {error.filename}; fetch it again") from error
        except OSError as error:
            raise explain_os_error(error, name) from error
        return manifest, folder

    def keep(self, manifest: Manifest, source: Path) -> CacheEntry:
        """Copy a model's files from a folder, and give the entry that would name them.

        The manifest's `files` are filled in. No worker finds the model before `publish`.

        Raises:
            StorageFull: the disk leaves no room; nothing is left behind.
            DataUnavailable: the folder cannot be written to right now.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=self.folder))
            try:
                return self._keep(manifest, source, draft)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise explain_os_error(error, f"cached model {manifest.name}") from error

    def publish(self, entry: CacheEntry) -> None:
        """Let workers find the entry from now on.

        Raises:
            StorageFull: the disk leaves no room.
            DataUnavailable: the folder cannot be written to right now.
        """
        try:
            index = self._index(entry.service, entry.version)
            write_whole({index: json.dumps(asdict(entry)) + "\n"})
        except OSError as error:
            raise explain_os_error(error, f"index of {entry.service}") from error

    def discard(self, entry: CacheEntry) -> None:
        """Take away a model that was found damaged, so that it is fetched anew.

        Of several workers that find the same, or of one that comes late, nothing newer is taken.
        """
        if self.find(entry.service, entry.version) == entry:
            self._index(entry.service, entry.version).unlink(missing_ok=True)
        if entry.digest:
            shutil.rmtree(self.folder / entry.digest, ignore_errors=True)

    @contextmanager
    def fetch_alone(self) -> Iterator[None]:
        """Keep other fetchers out; what one left behind that was killed is cleared away.

        Raises:
            TimeoutError: another was at work for too long.
            OSError: the folder cannot be written to.
        """
        with hold_lock(self.folder / "fetching.lock", LOCK_SECONDS):
            for draft in self.folder.glob(f"{DRAFT}*"):
                shutil.rmtree(draft, ignore_errors=True)
            yield

    def prune(self, wanted: Collection[tuple[str, int]], spare: int) -> list[str]:
        """Remove models that no route names, but for each service's newest; give their folders.

        `spare` says how many of a service stay, named or not.
        """
        entries = [_read_entry(path) for path in sorted(self.folder.glob("*-*.json"))]
        known = sorted(filter(None, entries), key=lambda item: (item.service, -item.version))
        counts: dict[str, int] = {}
        kept = set()
        for entry in known:
            counts[entry.service] = counts.get(entry.service, 0) + 1
            if (entry.service, entry.version) in wanted or counts[entry.service] <= spare:
                kept.add(entry.digest)
            else:
                self._index(entry.service, entry.version).unlink(missing_ok=True)
        folders = (path.name for path in self.folder.glob("[0-9a-f]*") if path.is_dir())
        gone = [name for name in folders if name not in kept]
        for name in gone:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return gone

    def _index(self, service: str, version: int) -> Path:
        return self.folder / f"{service}-{version}.json"

    def _keep(self, manifest: Manifest, source: Path, draft: Path) -> CacheEntry:
        """Fill a draft folder and move it to its name; one that is there and whole stays."""
        hashes = {}
        for file in FILES:
            if (source / file).is_file():
                (draft / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / file, draft / file)
                _sync(draft / file)
                hashes[file] = _hash_file(draft / file)
        whole = Manifest(**{**vars(manifest), "files": hashes})
        (draft / MANIFEST_FILE).write_bytes(whole.to_json())
        _sync(draft / MANIFEST_FILE)
        entry = CacheEntry(manifest.service, manifest.version, whole.digest)
        try:
            self.open(entry)
        except (DataMissing, ModelDamaged):
            shutil.rmtree(self.folder / entry.digest, ignore_errors=True)
            draft.chmod(0o755)
            draft.rename(self.folder / entry.digest)
        return entry


def _read_entry(path: Path) -> CacheEntry | None:
    try:
        return CacheEntry(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
