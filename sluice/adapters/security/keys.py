"""An environment's keys: one that signs, and those that are trusted, each in a file.

The signing key is made when it is first needed. After a rotation the older public keys stay
trusted, until a person removes them.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.adapters.storage import explain_os_error, hold_lock
from sluice.errors import CommandRefused, DataInvalid, DataMissing
from sluice.security.signature import (
    SignedFiles,
    hash_text,
    name_key,
    sign_files,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNING = "signing.pem"
TRUSTED = "trusted"
LOCK_SECONDS = 30.0
PRIVATE = 0o600


@dataclass(frozen=True)
class KeyRing:
    """The keys of one folder."""

    folder: Path

    def open_signing_key(self) -> "Ed25519PrivateKey":
        """Return the key that signs; it is made where there is none.

        Raises:
            DataInvalid: the file is no Ed25519 key.
            StorageFull: the disk is full.
            DataUnavailable: the folder cannot be reached.
        """
        path = self.folder / SIGNING
        try:
            if not path.exists():
                self._make(path, replace=False)
            return _read_private(path)
        except OSError as error:
            raise explain_os_error(error, f"signing key {path}") from error

    def rotate(self) -> tuple[str, str]:
        """Make a new signing key; return the ids of the one before (may be empty) and the new one.

        Raises:
            StorageFull: the disk is full.
            DataUnavailable: the folder cannot be reached.
        """
        path = self.folder / SIGNING
        try:
            before = _name(_read_private(path)) if path.exists() else ""
            self._make(path, replace=True)
            return before, _name(_read_private(path))
        except OSError as error:
            raise explain_os_error(error, f"signing key {path}") from error

    def find_signing(self) -> str:
        """Return the id of the key that signs; empty where there is none yet.

        Raises:
            DataInvalid: the file is no Ed25519 key.
        """
        path = self.folder / SIGNING
        return _name(_read_private(path)) if path.exists() else ""

    def list_trusted(self) -> dict[str, bytes]:
        """Return the trusted public keys by id, 32 bytes each; a file that is no key is no key.

        Raises:
            DataUnavailable: the folder cannot be reached.
        """
        found = {}
        try:
            for path in sorted((self.folder / TRUSTED).glob("*.pem")):
                public = _read_public(path.read_bytes())
                if public is not None:
                    found[name_key(public)] = public
        except OSError as error:
            raise explain_os_error(error, f"trusted keys {self.folder}") from error
        return found

    def trust(self, file: Path) -> str:
        """Trust a public key of a PEM file, such as another environment's; return its id.

        Raises:
            DataMissing: there is no such file.
            DataInvalid: it holds no Ed25519 public key.
        """
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DataMissing(f"there is no file {file}") from error
        public = _read_public(content)
        if public is None:
            raise DataInvalid(f"{file} holds no Ed25519 public key in PEM form")
        self._keep(public)
        return name_key(public)

    def remove(self, key: str) -> None:
        """Trust a key no longer: what it signed is refused from now on.

        Raises:
            CommandRefused: the key is not trusted, or it is the one that signs.
        """
        known = self.list_trusted()
        if key not in known:
            allowed = ", ".join(known) or "none"
            raise CommandRefused(f"found key '{key}'; trusted are: {allowed}")
        path = self.folder / SIGNING
        if path.exists() and _name(_read_private(path)) == key:
            raise CommandRefused(f"key {key} signs; next: `sluice keys rotate`, then remove it")
        for item in (self.folder / TRUSTED).glob("*.pem"):
            public = _read_public(item.read_bytes())
            if public is not None and name_key(public) == key:
                item.unlink()

    def _make(self, path: Path, replace: bool) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with hold_lock(self.folder / ".lock", LOCK_SECONDS):
            if path.exists() and not replace:
                return
            private = Ed25519PrivateKey.generate()
            content = private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            draft = path.with_suffix(".draft")
            with suppress(FileNotFoundError):
                draft.unlink()
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self._keep(private.public_key().public_bytes_raw())  # trusted before it signs
            draft.replace(path)

    def _keep(self, public: bytes) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        pem = Ed25519PublicKey.from_public_bytes(public).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        folder = self.folder / TRUSTED
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name_key(public)}.pem").write_bytes(pem)


def _read_private(path: Path) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = path.read_bytes()
    try:
        found = load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise DataInvalid(f"{path} is no key; next: `sluice keys rotate`") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise DataInvalid(f"{path} is no Ed25519 key; next: `sluice keys rotate`")
    return found


def _read_public(content: bytes) -> bytes | None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        found = load_pem_public_key(content)
    except (ValueError, TypeError):
        return None
    return found.public_bytes_raw() if isinstance(found, Ed25519PublicKey) else None


def _name(private: "Ed25519PrivateKey") -> str:
    return name_key(private.public_key().public_bytes_raw())


def hash_served(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a model's folder that serving reads, by name."""
    from sluice.adapters.registry.model_files import MODEL_FILE, SERVING_FOLDER
    from sluice.models.export.onnx_export import SAMPLE_FILE

    paths = [folder / MODEL_FILE, folder / SAMPLE_FILE, *(folder / SERVING_FOLDER).rglob("*")]
    found = {}
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            found[path.relative_to(folder).as_posix()] = digest
    return found


def sign_folder(  # noqa: PLR0913, PLR0917
    keys: KeyRing, service: str, run_id: str, folder: Path, config: str, by: str, reason: str
) -> str:
    """Return the signature of a model's folder and configuration, as JSON.

    Raises:
        DataInvalid: the signing key is no key.
        StorageFull: the disk is full.
        DataUnavailable: the keys cannot be reached.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    digest = hash_text(config)
    statement = SignedFiles(service, run_id, hash_served(folder), digest, now, by, reason)
    return sign_files(statement, keys.open_signing_key())
