"""This machine: versions, ports, disk, git and environment."""

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from sluice.adapters.server import parts
from sluice.adapters.server.ports import list_listeners, name_user
from sluice.adapters.server.process import is_alive, is_free, read_record
from sluice.adapters.server.process_tree import find_related
from sluice.doctor import (
    MachineFinding,
    judge_disk,
    judge_git,
    judge_home,
    judge_lock,
    judge_package,
    judge_port,
    judge_python,
    normalise_name,
    read_lock,
)
from sluice.home import LOCK, Home

if TYPE_CHECKING:  # it imports numpy, which `sluice doctor` does not need
    from sluice.identity import CodeVersion, Environment

GIT_SECONDS = 10.0


def read_code_version(root: Path) -> "CodeVersion":
    """Return the folder's commit, and whether anything below it is uncommitted or untracked.

    Without git, outside a checkout, or if the checkout does not contain the folder, the commit is
    `unknown` and the tree dirty: an unknown tree never counts as clean.
    """
    from sluice.identity import UNKNOWN, CodeVersion

    commit = _run_git(root, "rev-parse", "--verify", "HEAD")
    changes = _run_git(root, "status", "--porcelain", "--", ".")
    # An untracked folder inside another project's checkout has no entry in that commit.
    if not commit or changes is None or not _run_git(root, "ls-tree", "--name-only", "HEAD"):
        return CodeVersion(commit=UNKNOWN, dirty=True)
    return CodeVersion(commit=commit, dirty=bool(changes))


def read_environment(lock: Path) -> "Environment":
    """Return what decides results besides code, data and config; the image is `SLUICE_IMAGE`.

    Without a readable lock file the lock's hash is `unknown`.
    """
    from sluice.identity import Environment

    return Environment(
        lock_hash=_hash_file(lock),
        python=platform.python_version(),
        platform=sysconfig.get_platform(),
        image=os.environ.get("SLUICE_IMAGE", ""),
    )


def _hash_file(path: Path) -> str:
    from sluice.identity import UNKNOWN

    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return UNKNOWN


def _run_git(root: Path, *arguments: str) -> str | None:
    """Return git's output; None if it failed, is missing or took too long."""
    git = shutil.which("git")
    if git is None:
        return None
    # A hook's GIT_DIR would point elsewhere; optional locks would disturb a concurrent commit.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603
            [git, "-C", str(root), *arguments],
            env={**environment, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


PROJECT = "sluice"
PINNED = ("prefect", "fastapi", "sqlalchemy", "mlflow", "protobuf", "great-expectations")
PORTS = {
    4200: "the Prefect server",
    parts.PAGES_PORT: "MLflow's pages",
    parts.GATEWAY_PORT: "the gateway",
    parts.STATUS_PAGE_PORT: "the status page",
}
"""The ports that `sluice up` tries first."""
VERSION_SECONDS = 5.0


def examine(home: Home) -> list[MachineFinding]:
    """Return findings on this machine; starts nothing, imports nothing heavy."""
    installed = _read_installed()
    pins = _read_pins()
    required = importlib.metadata.metadata(PROJECT)["Requires-Python"] or ""
    return [
        judge_python(platform.python_version(), required),
        judge_git(_read_git_version()),
        judge_home(str(home.root), _try_writing(home.root)),
        judge_disk(shutil.disk_usage(_nearest_folder(home.root)).free),
        *(judge_port(port, purpose, _find_user(home, port)) for port, purpose in PORTS.items()),
        *(judge_package(name, installed.get(name, ""), pins.get(name, "")) for name in PINNED),
        judge_lock(read_lock(_read_text(LOCK)), installed),
    ]


def find_unlocked() -> str:
    """Return which installed packages are not those of the lock; empty where all are."""
    found = judge_lock(read_lock(_read_text(LOCK)), _read_installed())
    return "" if found.ok else found.found


def _read_installed() -> dict[str, str]:
    found = importlib.metadata.distributions()
    named = [item for item in found if item.metadata["Name"]]
    return {normalise_name(item.metadata["Name"]): item.version for item in named}


def _read_pins() -> dict[str, str]:
    """Return the installed project's own requirements, the only place of the pins."""
    requirements = [Requirement(line) for line in importlib.metadata.requires(PROJECT) or []]
    return {
        normalise_name(item.name): str(item.specifier) for item in requirements if not item.extras
    }


def _read_git_version() -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603
            [git, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().removeprefix("git version ")


def _try_writing(folder: Path) -> str:
    """Return what prevents writing to the folder; empty if nothing does. Creates no folder."""
    place = next(place for place in (folder, *folder.parents) if place.exists())
    if not place.is_dir():
        return f"{place}: a file stands in the way"
    try:
        with tempfile.TemporaryFile(dir=place):
            return ""
    except OSError as error:
        return f"{place}: {error.strerror}"


def _nearest_folder(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _find_user(home: Home, port: int) -> str:
    if is_free(port):
        return ""
    record = read_record(home)
    if record and record.port == port and is_alive(home):
        return "this state folder's own server"
    own = {item.pid: item.part for item in find_related(home)}
    part = next((own[pid] for pid in list_listeners(port) if pid in own), "")
    return f"this state folder's own {part}" if part else name_user(port) or "another program"


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
