"""Signatures, kept with the run's files, so that an older version can be signed too."""

from pathlib import Path

from sluice.adapters.registry.runs import Runs
from sluice.adapters.registry.store import Store
from sluice.adapters.security.keys import KeyRing, sign_folder
from sluice.security.signature import FILE, SignedFiles, read_signature

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
) -> SignedFiles:
    """Sign a model's folder and its run's configuration; keep the signature with the run.

    Raises:
        DataInvalid: the signing key is no key.
        DataUnavailable: the keys cannot be reached.
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    runs = Runs(store)
    config = runs.find_text(run_id, CONFIG) or ""
    text = sign_folder(keys, service, run_id, folder, config, by, reason)
    runs.log_text(run_id, FILE, text)
    return read_signature(text, run_id)[0]
