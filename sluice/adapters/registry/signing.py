"""Signatures, kept with the run's files, so that an older version can be signed too."""

from pathlib import Path

from sluice.adapters.registry.store import Store
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.security.keys import KeyRing, sign_folder, verify_folder
from sluice.security.signature import FILE, SignedFiles

CONFIG = "config.yaml"
BY, REASON = "sluice", "registered by its release"


def sign_run(  # noqa: PLR0913, PLR0917
    store: Store,
    keys: KeyRing,
    service: str,
    run_id: str,
    folder: Path,
    by: str = BY,
    reason: str = REASON,
) -> None:
    """Sign a model's folder and its run's configuration, and keep the signature with the run.

    Raises:
        DataInvalid: the signing key is no key.
        DataUnavailable: the keys cannot be reached.
    """
    config = store.find_run_text(run_id, CONFIG) or ""
    text = sign_folder(keys, service, run_id, folder, config, by, reason)
    store.write_run_text(run_id, FILE, text)


def verify_download(
    store: Store, keys: KeyRing, version: ModelVersionRef, folder: Path
) -> SignedFiles:
    """Return who signed a version's files, which were copied into a folder, and why.

    Raises:
        SignatureInvalid: they are not signed, by no trusted key, or not the signed ones.
        DataUnavailable: the keys cannot be reached.
    """
    config = store.find_run_text(version.run_id, CONFIG) or ""
    text = store.find_run_text(version.run_id, FILE)
    name = f"{version.service} v{version.version}"
    return verify_folder(keys, version.service, version.run_id, folder, config, text, name)
