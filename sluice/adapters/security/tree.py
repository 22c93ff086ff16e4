"""The project's tree, searched for secrets; a file that did not change is not read again."""

import fnmatch
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from sluice.adapters.storage import write_whole
from sluice.config.security.gate import SecretsConfig
from sluice.documents import read_json
from sluice.home import Home
from sluice.security.evidence import SecretFinding, SecretScan
from sluice.security.secrets import find_secrets

FILE = "searched.json"
GIT_SECONDS = 30.0
BINARY_START = 8000
"""Bytes at a file's beginning in which a zero byte makes it no text, as git has it."""
LEFT_OUT = (".git", ".venv", ".sluice", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache")
"""Folders that are not searched where the tree is no git checkout."""
_SEARCHED: dict[str, SecretScan] = {}
"""Scans of this process, by everything that decides them."""


def list_files(root: Path) -> list[Path]:
    """Return a tree's files: those that git tracks or would add; without git, all of them."""
    listed = _ask_git(root)
    if listed is not None:
        return [root / name for name in listed]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        found += [Path(folder, name) for name in sorted(names)]
    return found


def _ask_git(root: Path) -> list[str] | None:
    git = shutil.which("git")
    if git is None:
        return None
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = [git, "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    names = sorted({os.fsdecode(name) for name in done.stdout.split(b"\0") if name})
    return names if done.returncode == 0 and names else None


def search_trees(home: Home, config: SecretsConfig, roots: Iterable[Path]) -> SecretScan:
    """Search trees for secrets; files inside an earlier root are searched once.

    Unchanged trees cost one call of git and one look at each file's size and time.
    """
    files = dict(_list_searched(config, list(roots)))
    settings = sha256(config.model_dump_json().encode()).hexdigest()
    states = [(name, _look(path)) for name, path in files.items()]
    mark = sha256(repr((settings, states)).encode("utf-8", "surrogateescape")).hexdigest()
    if (done := _SEARCHED.get(mark)) is not None:
        return done
    kept = _read_kept(home.security / FILE, settings)
    scan = kept.scan(mark) or kept.search(config, files)
    if not scan.missing:
        kept.write(mark, scan)
        _SEARCHED.clear()
        _SEARCHED[mark] = scan
    return scan


def _list_searched(config: SecretsConfig, roots: list[Path]) -> Iterator[tuple[str, Path]]:
    done: list[Path] = []
    for root in roots:
        if not root.is_dir() or any(root.is_relative_to(item) for item in done):
            continue
        for path in list_files(root):
            name = path.relative_to(root).as_posix()
            label = name if not done else path.as_posix()
            if not any(fnmatch.fnmatch(name, pattern) for pattern in config.exclude):
                yield label, path
        done.append(root)


def _look(path: Path) -> tuple[int, int, int]:
    try:
        found = path.lstat()
    except OSError:
        return (-1, -1, -1)
    return found.st_size, found.st_mtime_ns, found.st_ino


class _Kept:
    """What was searched before: the findings of each text by its hash, and the last whole scan."""

    def __init__(self, path: Path, settings: str, values: dict[str, Any]) -> None:
        self._path, self._settings = path, settings
        self._texts: dict[str, Any] = values.get("texts", {})
        self._mark: str = values.get("mark", "")
        self._scan: dict[str, Any] = values.get("scan", {})
        self._changed = False

    def scan(self, mark: str) -> SecretScan | None:
        """Return the last scan, if nothing that decides it has changed."""
        return _read_scan(self._scan) if self._mark == mark and self._scan else None

    def search(self, config: SecretsConfig, files: dict[str, Path]) -> SecretScan:
        self._changed = True
        texts: dict[str, Any] = {}
        findings, skipped, allowed, searched = list[SecretFinding](), list[str](), 0, 0
        words = frozenset(item.lower() for item in config.placeholders)
        for name, path in files.items():
            content = _read_text(path)
            if content is None:
                continue
            if len(content) > config.largest_file:
                skipped.append(name)
                continue
            searched += 1
            key = sha256(name.encode("utf-8", "surrogateescape") + b"\0" + content).hexdigest()
            known = self._texts.get(key)
            if known is None:
                text = content.decode("utf-8", "replace")
                found, more = find_secrets(name, text, config.detectors, words)
                known = [[asdict(item) for item in found], more]
            texts[key] = known
            findings += [SecretFinding(**item) for item in known[0]]
            allowed += known[1]
        self._texts = texts
        return SecretScan(searched, tuple(findings), allowed, tuple(skipped))

    def write(self, mark: str, scan: SecretScan) -> None:
        """Keep what was searched; where it cannot be written, it is searched again."""
        if self._mark == mark:
            return
        values = {"settings": self._settings, "mark": mark, "scan": asdict(scan)}
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole({self._path: json.dumps({**values, "texts": self._texts}) + "\n"})


def _read_kept(path: Path, settings: str) -> _Kept:
    try:
        values = read_json(path)
        if values["settings"] != settings:
            values = {}
        return _Kept(path, settings, values)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return _Kept(path, settings, {})


def _read_scan(values: dict[str, Any]) -> SecretScan | None:
    try:
        findings = tuple(SecretFinding(**item) for item in values["findings"])
        return SecretScan(**{**values, "findings": findings, "skipped": tuple(values["skipped"])})
    except (LookupError, TypeError):
        return None


def _read_text(path: Path) -> bytes | None:
    """Return a file's bytes; None for a link, a folder, or what is no text."""
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(BINARY_START)
        return None if b"\0" in start else start + file.read()
