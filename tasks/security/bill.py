"""The bill of materials of a release, from its files and the project's lock."""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

from sluice.config.service import ServiceConfig
from sluice.doctor import read_lock
from sluice.home import LOCK
from sluice.identity import ReleaseIdentity
from sluice.security.bill import write_bill
from sluice.verdict import Verdict

KINDS = ("serving/*",)
"""Files that are registered as they are; the registry writes `model.skops` anew, and signs both."""


def write_materials(
    config: ServiceConfig,
    identity: ReleaseIdentity,
    folder: Path,
    verdicts: Sequence[Verdict],
) -> str:
    """Return a release's bill of materials; without a readable lock it names no packages."""
    try:
        packages = read_lock(LOCK.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        packages = ()
    paths = sorted(path for kind in KINDS for path in folder.glob(kind) if path.is_file())
    hashes = {path.relative_to(folder).as_posix(): _hash(path) for path in paths}
    return write_bill(config, identity, verdicts, packages, hashes, datetime.now(UTC))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
