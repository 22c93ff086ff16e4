"""Models on this machine's disk, by the sha256 of their files; each is complete or absent.

The fetcher writes, workers read. The index file of a version names the model's folder, or the
reason why the version was refused. While a version cannot be fetched, a file beside it says why.
Opening a model verifies every file by its sha256, and who signed them.
"""

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from sluice.adapters.registry.model_files import (
    GRAPH_FILE,
    MODEL_FILE,
    POSTPROCESSING_FILE,
    PREPROCESSING_FILE,
    SERVING_FOLDER,
)
from sluice.adapters.security.signatures import SignatureCheck
from sluice.adapters.storage import explain_os_error, hold_lock, write_whole
from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.control.route import Route
from sluice.documents import parse_json, read_json
from sluice.errors import DataMissing, ModelDamaged
from sluice.models.export.form import read_facts
from sluice.models.export.onnx_export import SAMPLE_FILE
from sluice.security.signature import describe_files

MANIFEST_FILE = "manifest.json"
EXPORT_FILES = tuple(
    f"{SERVING_FOLDER}/{name}" for name in (GRAPH_FILE, PREPROCESSING_FILE, POSTPROCESSING_FILE)
)
FILES = (MODEL_FILE, *EXPORT_FILES, SAMPLE_FILE)
"""Every file that a cached model may have; no other is copied or read."""
DRAFT = ".draft-"
DRAFT_SECONDS = 86_400.0
"""Age of a draft that no fetcher can be filling any more."""
LOCK_SECONDS = 300.0
"""Longest wait for another fetcher, which may be fetching the same version."""
MOST_REASON = 2000
DIGEST = re.compile(r"[0-9a-f]{64}")
UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What reading a file raises that is not what was written."""
ModelKey = tuple[str, int]
"""A service and a version."""


def list_named(routes: Iterable[Route]) -> list[ModelKey]:
    """Return the versions that routes name, champions first."""
    known = list(routes)
    champions = [(route.service, route.champion) for route in known]
    return champions + [(route.service, route.candidate) for route in known if route.candidate]


@dataclass(frozen=True)
class Manifest:
    """The facts of a version, and the sha256 of each file; its own sha256 names the folder.

    `form` is the backend that the parity gate chose, `data` the configuration of the data, `kind`
    the estimator's kind.
    """

    service: str
    version: int
    run_id: str
    kind: str
    problem: Problem
    form: Literal["onnx", "sklearn"]
    data: Mapping[str, Any]
    files: Mapping[str, str]
    admitted: str = ""
    """Why it may serve; no worker opens a model without it, as an earlier Sluice fetched it."""
    config: str = ""
    """The text of `config.yaml`, from which the facts were read."""
    signature: str = ""
    """The text of `signature.json`: who vouches for files and configuration."""

    @property
    def data_config(self) -> DataConfig:
        """The configuration of the model's columns.

        Raises:
            ModelDamaged: it is not a valid configuration.
        """
        try:
            return DataConfig.model_validate(self.data)
        except ValidationError as error:
            raise ModelDamaged(f"{self.name}: its data configuration is invalid") from error

    @property
    def name(self) -> str:
        """The version in messages, such as `employment v3`."""
        return f"{self.service} v{self.version}"

    @property
    def digest(self) -> str:
        """The hexadecimal sha256 of the manifest file."""
        return sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """Return the manifest as JSON, the same bytes for the same facts."""
        return (json.dumps(asdict(self), sort_keys=True, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            ModelDamaged: it is not a manifest, or names a file that no model has.
        """
        try:
            found = cls(**parse_json(content))
            unknown = sorted(set(dict(found.files)) - set(FILES))
        except UNREADABLE as error:
            raise ModelDamaged(
                f"{MANIFEST_FILE} is not a manifest; fetch the model again"
            ) from error
        if unknown:
            raise ModelDamaged(f"{MANIFEST_FILE} names '{unknown[0]}'; allowed: {', '.join(FILES)}")
        return found


def clean_reason(text: str) -> str:
    """Return a reason that may quote a damaged file as text that can be encoded, not too long."""
    return text.encode("utf-8", "backslashreplace").decode()[:MOST_REASON]


@dataclass(frozen=True)
class CacheEntry:
    """An index file: the folder of a version, or the reason why the version cannot serve."""

    service: str
    version: int
    digest: str = ""
    refused: str = ""


class ModelCache:
    """The folder of all cached models; it is created with the first model."""

    def __init__(self, folder: Path, signatures: SignatureCheck | None) -> None:
        """Begin; every process of the gateway that opens models gives `signatures`.

        None: by whom the files were signed is not asked, only whether they are as they were kept.
        """
        self.folder, self._signatures = folder, signatures

    def find(self, service: str, version: int) -> CacheEntry | None:
        """Return the index of a version; None where it was not fetched yet, or is unreadable."""
        entry = _read_entry(self._index(service, version))
        same = entry is not None and (entry.service, entry.version) == (service, version)
        return entry if same else None

    def open(self, entry: CacheEntry) -> tuple[Manifest, Path]:
        """Return a model's manifest and folder, after every file was verified.

        Raises:
            DataMissing: the folder or a file in it is gone.
            ModelDamaged: the version was refused, or a file is not what was fetched.
            SignatureInvalid: no trusted key signed these files and this configuration.
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
            if not manifest.admitted:
                raise ModelDamaged(
                    f"{name}: {MANIFEST_FILE} does not say why the version may serve: an earlier "
                    "Sluice fetched it; next: the fetcher checks its gates and fetches it again"
                )
            for file, wanted in manifest.files.items():
                if _hash_file(folder / file) != wanted:
                    raise ModelDamaged(f"{name}: {file} is cut short or not what was fetched")
            if self._signatures is not None:
                _verify_signature(manifest, self._signatures)
        except FileNotFoundError as error:
            raise DataMissing(f"{name}: there is no {error.filename}; fetch it again") from error
        except OSError as error:
            raise explain_os_error(error, name) from error
        return manifest, folder

    def keep(self, manifest: Manifest, source: Path) -> CacheEntry:
        """Copy a model's files from a folder, and return the entry for `publish`.

        The manifest's `files` are filled in. Workers do not see the model before `publish`.

        Raises:
            StorageFull: the disk is full; no file is left behind.
            DataUnavailable: the folder cannot be written to right now.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            prefix = _draft_prefix(manifest.service, manifest.version)
            draft = Path(tempfile.mkdtemp(prefix=prefix, dir=self.folder))
            try:
                return self._keep(manifest, source, draft)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise explain_os_error(error, f"cached model {manifest.name}") from error

    def publish(self, entry: CacheEntry) -> None:
        """Make the entry visible to workers; its reason becomes text that every reader can show.

        Raises:
            StorageFull: the disk is full.
            DataUnavailable: the folder cannot be written to right now.
        """
        try:
            index = self._index(entry.service, entry.version)
            values = {**asdict(entry), "refused": clean_reason(entry.refused)}
            write_whole({index: json.dumps(values) + "\n"})
            self._problem(entry.service, entry.version).unlink(missing_ok=True)
        except OSError as error:
            raise explain_os_error(error, f"index of {entry.service}") from error

    def note_problem(self, service: str, version: int, problem: str) -> None:
        """Write down why a version cannot be fetched now; a full disk keeps the older note."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole({self._problem(service, version): clean_reason(problem) + "\n"})

    def find_problem(self, service: str, version: int) -> str:
        """Return why a version cannot be fetched now; empty where nothing is known."""
        try:
            return self._problem(service, version).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return ""

    def discard(self, entry: CacheEntry) -> None:
        """Remove a model that was found damaged, so that it is fetched again.

        Where several workers find the same damage, a late one removes no newer model.
        """
        if self.find(entry.service, entry.version) == entry:
            self._index(entry.service, entry.version).unlink(missing_ok=True)
        if entry.digest:
            shutil.rmtree(self.folder / entry.digest, ignore_errors=True)

    @contextmanager
    def fetch_alone(self, service: str, version: int) -> Iterator[None]:
        """Lock out other fetchers of a version, and remove the drafts of one that was killed.

        Raises:
            TimeoutError: another fetcher held the lock for too long.
            OSError: the folder cannot be written to.
        """
        with hold_lock(self.folder / f".fetching-{service}@{version}.lock", LOCK_SECONDS):
            for draft in self.folder.glob(f"{_draft_prefix(service, version)}*"):
                shutil.rmtree(draft, ignore_errors=True)
            yield

    def prune(self, named: Collection[ModelKey], spare: int) -> list[str]:
        """Remove models that no route names, and return their folders.

        The `spare` newest of each service stay, named or not. Drafts that nobody fills go, too.
        """
        entries = [_read_entry(path) for path in sorted(self.folder.glob("*-*.json"))]
        known = sorted(filter(None, entries), key=lambda item: (item.service, -item.version))
        counts: dict[str, int] = {}
        kept = set()
        for entry in known:
            counts[entry.service] = counts.get(entry.service, 0) + 1
            if (entry.service, entry.version) in named or counts[entry.service] <= spare:
                kept.add(entry.digest)
            else:
                self._index(entry.service, entry.version).unlink(missing_ok=True)
                self._problem(entry.service, entry.version).unlink(missing_ok=True)
        for draft in self.folder.glob(f"{DRAFT}*"):
            with suppress(OSError):
                if time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                    shutil.rmtree(draft, ignore_errors=True)
        folders = (path.name for path in self.folder.glob("[0-9a-f]*") if path.is_dir())
        removed = [name for name in folders if name not in kept]
        for name in removed:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return removed

    def _index(self, service: str, version: int) -> Path:
        return self.folder / f"{service}-{version}.json"

    def _problem(self, service: str, version: int) -> Path:
        return self.folder / f"{service}-{version}.problem"

    def _keep(self, manifest: Manifest, source: Path, draft: Path) -> CacheEntry:
        """Fill a draft folder and move it to its name; an existing whole folder stays."""
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
            draft.rename(self.folder / entry.digest)
        return entry


def _verify_signature(manifest: Manifest, signatures: SignatureCheck) -> None:
    """Check that files, configuration and the facts that were read from it are the signed ones.

    Raises:
        SignatureInvalid: the environment requires signatures, and something differs.
        ModelDamaged: a fact is not the one in the configuration.
        DataUnavailable: the keys cannot be read at present.
    """
    facts, config = manifest, manifest.config
    found = describe_files(facts.service, facts.run_id, manifest.files, config)
    signatures.verify(manifest.signature, found, manifest.name)
    if signatures.rule == "off" or not manifest.signature:
        return
    wanted = read_facts(manifest.name, {}, config, False)
    there = (manifest.data_config, manifest.problem, manifest.kind)
    data = DataConfig.model_validate(wanted.data.model_dump(mode="json"))  # as a manifest keeps it
    if there != (data, wanted.problem, wanted.kind):
        raise ModelDamaged(f"{manifest.name}: {MANIFEST_FILE} differs from its config.yaml")


def _draft_prefix(service: str, version: int) -> str:
    return f"{DRAFT}{service}@{version}-"


def _read_entry(path: Path) -> CacheEntry | None:
    """Return an index; None where there is none, or it is not what was written."""
    try:
        entry = CacheEntry(**read_json(path))
        types = [type(value) for value in asdict(entry).values()]
    except (OSError, *UNREADABLE):
        return None
    if types != [str, int, str, str] or not (entry.refused or DIGEST.fullmatch(entry.digest)):
        return None
    return entry


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
