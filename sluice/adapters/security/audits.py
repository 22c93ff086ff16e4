"""The audit of the lock: from the service or the snapshot, or from what was looked up before."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from sluice.adapters.security.pip_audit import ask_advisories, name_source
from sluice.adapters.security.snapshot import ARCHIVE, audit_snapshot, find_label
from sluice.adapters.storage import write_whole
from sluice.config.security.gate import AdvisoriesConfig
from sluice.doctor import read_lock
from sluice.documents import read_json
from sluice.home import Home
from sluice.security.advisories import pin_packages
from sluice.security.evidence import DependencyAudit

FOLDER = "audits"
FRESH = timedelta(days=1)
"""Age of an answer that a release takes without asking again."""
PARTIAL = timedelta(minutes=15)
"""The same, of an answer that lacks packages."""
KEPT = 20
"""Newest audits that stay in the folder."""
UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError)


def find_snapshot(home: Home, config: AdvisoriesConfig) -> Path:
    """Return the path of the snapshot's archive."""
    return Path(config.snapshot) if config.snapshot else home.security / ARCHIVE


def audit_lock(
    home: Home, config: AdvisoriesConfig, lock: Path, now: datetime, ask: bool | None = None
) -> DependencyAudit:
    """Return what is known about every package of a lock.

    `ask` says whether a service is asked again; None: as the configuration and the age of the last
    answer say. A look-up that fails leaves the last answer, with a note.
    """
    try:
        text = lock.read_bytes()
        pins = pin_packages(read_lock(text.decode("utf-8")))
    except (OSError, UnicodeDecodeError):
        text, pins = b"", {}
    if not pins:
        return DependencyAudit("the lock", missing=f"{lock} cannot be read, or names no package")
    if config.source == "snapshot":
        return _audit_by_snapshot(home, config, pins, text)
    path = _place(home, text, f"{config.source} {config.url}")
    known = _read(path)
    if not _should_ask(config, known, now, ask):
        words = f"{name_source(config)} was not asked yet; `sluice audit` asks"
        return known or DependencyAudit(name_source(config), missing=words)
    found = ask_advisories(pins, config, home.security / "pip-audit", now)
    if not found.missing:
        _write(path, found)
    if not found.missing or known is None:
        return found
    note = f"asked again without an answer ({found.missing}); this is the one before"
    return DependencyAudit(**{**vars(known), "note": note})


def _should_ask(
    config: AdvisoriesConfig, known: DependencyAudit | None, now: datetime, ask: bool | None
) -> bool:
    if ask is not None:
        return ask
    if config.lookup == "command":
        return False
    if known is None or known.date is None:
        return True
    age = now - known.date
    return age > (PARTIAL if known.unaudited else FRESH) or age < timedelta(0)


def _audit_by_snapshot(
    home: Home, config: AdvisoriesConfig, pins: Mapping[str, Sequence[str]], text: bytes
) -> DependencyAudit:
    """Look into the snapshot once for each lock and archive."""
    archive = find_snapshot(home, config)
    try:
        state = archive.stat()
        label = find_label(archive).read_bytes()
    except OSError:
        return audit_snapshot(archive, pins)
    mark = sha256(label).hexdigest()
    path = _place(home, text, f"{archive} {state.st_size} {state.st_mtime_ns} {mark}")
    known = _read(path)
    if known is None:
        known = audit_snapshot(archive, pins)
        if not known.missing:
            _write(path, known)
    return known


def _place(home: Home, lock: bytes, source: str) -> Path:
    key = sha256(sha256(lock).digest() + source.encode()).hexdigest()
    return home.security / FOLDER / f"{key[:32]}.json"


def _read(path: Path) -> DependencyAudit | None:
    """Return a kept audit; None where there is none, or it is not what was written."""
    try:
        return DependencyAudit.from_dict(read_json(path))
    except UNREADABLE:
        return None


def _write(path: Path, audit: DependencyAudit) -> None:
    """Keep an audit; where it cannot be written, the next release looks up again."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole({path: json.dumps(audit.to_dict()) + "\n"})
        older = sorted(path.parent.glob("*.json"), key=lambda item: -item.stat().st_mtime_ns)
        for item in older[KEPT:]:
            item.unlink(missing_ok=True)
