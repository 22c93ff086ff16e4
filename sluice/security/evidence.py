"""What was looked up and found: the evidence of the security gate, and how it is kept."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Vulnerability:
    """A known vulnerability of a locked package; `ids` begin with the advisory's own id.

    `fixed` are the versions that repair it; there may be none.
    """

    package: str
    version: str
    ids: tuple[str, ...]
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True)
class DependencyAudit:
    """What a source of advisories says about every package of the lock.

    `date` is when the source was asked, or when the snapshot was made; None: unknown. `unaudited`
    are packages that it could not look up, each with the reason. `missing` says why there is no
    audit at all.
    """

    source: str
    date: datetime | None = None
    packages: int = 0
    vulnerabilities: tuple[Vulnerability, ...] = ()
    unaudited: Mapping[str, str] | None = None
    missing: str = ""
    note: str = ""
    """What a reader should know beside it, such as a look-up that failed since."""

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as JSON-ready values."""
        values = asdict(self)
        return {**values, "date": self.date.isoformat() if self.date else None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "DependencyAudit":
        """Return the audit that `to_dict` wrote.

        Raises:
            KeyError: a field is missing.
            ValueError: the date is not one.
        """
        found = tuple(
            Vulnerability(
                item["package"], item["version"], tuple(item["ids"]), tuple(item["fixed"])
            )
            for item in values["vulnerabilities"]
        )
        date = datetime.fromisoformat(values["date"]) if values["date"] else None
        return cls(**{**values, "date": date, "vulnerabilities": found})


@dataclass(frozen=True)
class SecretFinding:
    """A secret in a file; `id` follows from its detector, file and text, which is kept nowhere."""

    id: str
    detector: str
    file: str
    line: int


@dataclass(frozen=True)
class SecretScan:
    """The search for secrets: files that were searched, and those that were too large.

    `allowed` counts findings that a comment in their line allows. `missing` says why nothing was
    searched.
    """

    files: int = 0
    findings: tuple[SecretFinding, ...] = ()
    allowed: int = 0
    skipped: tuple[str, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class FileProblem:
    """What makes a model's file unsafe, in words."""

    file: str
    words: str


@dataclass(frozen=True)
class ModelScan:
    """The examination of a model's files."""

    files: tuple[str, ...] = ()
    size: int = 0
    problems: tuple[FileProblem, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class SecurityEvidence:
    """All evidence of one release; `model` is None for a prompt, which has no model file."""

    dependencies: DependencyAudit
    secrets: SecretScan
    model: ModelScan | None
    commit: str
    dirty: bool
    now: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON-ready values."""
        return {
            **asdict(self),
            "dependencies": self.dependencies.to_dict(),
            "now": self.now.isoformat(),
        }
