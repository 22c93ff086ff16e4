"""A snapshot of advisories: OSV's export of an index, and a file that says what it covers.

OSV publishes all advisories of an index as one archive of JSON files. An archive alone does not say
whether it is whole, nor of which day it is; so a person says both when it is taken over.
"""

import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from sluice.adapters.storage import draft_file, explain_os_error
from sluice.documents import DocumentInvalid, Limits, parse_json, read_json
from sluice.errors import DataInvalid, DataMissing
from sluice.security.advisories import ECOSYSTEM, find_vulnerabilities
from sluice.security.evidence import DependencyAudit, Vulnerability

ARCHIVE = "advisories.zip"
LABEL = ".label.json"
LIMITS = Limits(size=16 * 1024**2, depth=60, values=1_000_000)
"""Of one advisory; the largest known lists some thousand versions."""
MOST = 1_000_000
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, AttributeError, ValueError)


@dataclass(frozen=True)
class SnapshotLabel:
    """What a person says of an archive: the index that it covers whole, and the day it is of."""

    index: str
    date: str
    advisories: int
    sha256: str


def find_label(archive: Path) -> Path:
    """Return the file beside an archive that says what it covers."""
    return archive.with_name(archive.name + LABEL)


def take_snapshot(source: Path, archive: Path, index: str, day: date) -> SnapshotLabel:
    """Check an archive of advisories, copy it, and label it; the one before is replaced.

    Raises:
        DataMissing: there is no such file.
        DataInvalid: it is no archive of OSV advisories, or has none of the index.
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be written to right now.
    """
    import json

    if not source.is_file():
        raise DataMissing(f"there is no file {source}")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with draft_file(archive) as draft:
            shutil.copyfile(source, draft)
            count = _count_advisories(draft, index)
            label = SnapshotLabel(index, day.isoformat(), count, _hash(draft))
            find_label(archive).unlink(missing_ok=True)  # never the label of another archive
        with draft_file(find_label(archive)) as draft:
            draft.write_text(json.dumps(asdict(label), indent=2) + "\n", encoding="utf-8")
    except FileNotFoundError as error:
        raise DataMissing(f"there is no file {source}") from error
    except DAMAGE as error:
        raise DataInvalid(f"{source} is no archive of OSV advisories: {_word(error)}") from error
    except OSError as error:
        raise explain_os_error(error, f"snapshot {archive.name}") from error
    return label


def _count_advisories(path: Path, index: str) -> int:
    count = 0
    for advisory in _read_advisories(path):
        _ = advisory["id"]
        packages = [item.get("package") or {} for item in advisory.get("affected") or ()]
        count += any(item.get("ecosystem") == index for item in packages)
    if not count:
        raise ValueError(f"it has no advisory of {index}")
    return count


def audit_snapshot(archive: Path, pins: Mapping[str, Sequence[str]]) -> DependencyAudit:
    """Look every locked package up in a snapshot; what it does not cover is not looked up.

    `missing` of the audit says why there is none: no archive, no label, an index that is not
    covered whole, or an archive that is not the labelled one.
    """
    source = f"the snapshot {archive.name}"
    try:
        label = SnapshotLabel(**read_json(find_label(archive)))
        day = datetime.combine(date.fromisoformat(label.date), datetime.min.time(), UTC)
        if label.index != ECOSYSTEM:
            words = f"it covers {label.index or 'no index'} whole, not {ECOSYSTEM}"
            return DependencyAudit(source, missing=f"{source}: {words}")
        if _hash(archive) != label.sha256:
            words = "the archive is not the one that was labelled: it changed, or is cut short"
            return DependencyAudit(source, missing=f"{source}: {words}")
        found, count = list[Vulnerability](), 0
        for advisory in _read_advisories(archive):
            found += find_vulnerabilities(advisory, pins)
            count += 1
        if not count or not label.advisories:
            return DependencyAudit(source, missing=f"{source}: it is empty")
    except FileNotFoundError as error:
        name = Path(error.filename or archive).name
        words = f"there is no {name}: it says which index it covers whole, and of which day"
        missing = words if name.endswith(LABEL) else f"there is no {name}"
        return DependencyAudit(source, missing=f"{source}: {missing}")
    except (OSError, *DAMAGE) as error:
        return DependencyAudit(source, missing=f"{source} cannot be read: {_word(error)}")
    name = f"{source} of {ECOSYSTEM}, {count:,} advisories"
    return DependencyAudit(name, day, len(pins), tuple(found), {})


def _read_advisories(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the advisories of an archive, one by one, each within its limits.

    Raises:
        ValueError: a member is no JSON, too large, or no advisory.
        zipfile.BadZipFile: it is no archive, or damaged.
    """
    with zipfile.ZipFile(path) as archive:
        members = [item for item in archive.infolist() if item.filename.endswith(".json")]
        if len(members) > MOST:
            raise ValueError(f"it has {len(members):,} files; allowed: {MOST:,}")
        for item in members:
            with archive.open(item) as file:
                content = file.read(LIMITS.size + 1)
            try:
                found = parse_json(content, LIMITS)
            except DocumentInvalid as error:
                raise ValueError(f"{item.filename}: {error}") from error
            if not isinstance(found, dict):
                raise ValueError(f"{item.filename} holds {type(found).__name__}, not an advisory")
            yield found


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _word(error: BaseException) -> str:
    words = str(error).splitlines()[0][:200] if str(error) else ""
    return words or type(error).__name__
