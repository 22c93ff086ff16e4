"""The identity of a release: data, code, configuration and environment, and its tags."""

import hashlib
import json
from dataclasses import asdict, dataclass

from sluice.data.version import DataVersion

UNKNOWN = "unknown"


@dataclass(frozen=True)
class CodeVersion:
    """The commit (`unknown` outside a checkout), and whether the tree had other changes."""

    commit: str
    dirty: bool


@dataclass(frozen=True)
class Environment:
    """The environment in which the code ran.

    `lock_hash` is the hexadecimal sha256 of the lock file, `image` the container's tag, empty
    where there is none.
    """

    lock_hash: str
    python: str
    platform: str
    image: str


@dataclass(frozen=True)
class ReleaseIdentity:
    """Everything that decides a release's result; `config_hash` is a hexadecimal sha256."""

    service: str
    data: DataVersion
    code: CodeVersion
    config_hash: str
    environment: Environment

    @property
    def id(self) -> str:
        """The first 12 hexadecimal digits of the sha256 of the identity's canonical JSON.

        The data's location is left out: the same data in another folder is the same release.
        """
        facts = asdict(self)
        del facts["data"]["uri"]
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def tags(self) -> dict[str, str]:
        """Return the identity as registry tags; every key begins with `sluice.`."""
        return {
            "sluice.release": self.id,
            "sluice.service": self.service,
            "sluice.data.uri": self.data.uri,
            "sluice.data.version": str(self.data.version),
            "sluice.data.rows": str(self.data.rows),
            "sluice.data.schema_hash": self.data.schema_hash,
            "sluice.data.content_hash": self.data.content_hash,
            "sluice.code.commit": self.code.commit,
            "sluice.code.dirty": str(self.code.dirty).lower(),
            "sluice.config.hash": self.config_hash,
            "sluice.environment.lock_hash": self.environment.lock_hash,
            "sluice.environment.python": self.environment.python,
            "sluice.environment.platform": self.environment.platform,
            "sluice.environment.image": self.environment.image,
        }
