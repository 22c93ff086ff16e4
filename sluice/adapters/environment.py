"""Reading what the code is and what it runs in, from git and the machine."""

import hashlib
import os
import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path

from sluice.identity import UNKNOWN, CodeVersion, Environment

GIT_SECONDS = 10.0


def read_code_version(root: Path) -> CodeVersion:
    """Read the folder's commit, and whether anything below it is uncommitted or untracked.

    Without git, outside a checkout, or where the checkout does not hold the folder, the commit is
    `unknown` and the tree dirty: what cannot be told is never taken for clean.
    """
    commit = _run_git(root, "rev-parse", "--verify", "HEAD")
    changes = _run_git(root, "status", "--porcelain", "--", ".")
    # A folder that another project's checkout merely contains has no entry in that commit.
    if not commit or changes is None or not _run_git(root, "ls-tree", "--name-only", "HEAD"):
        return CodeVersion(commit=UNKNOWN, dirty=True)
    return CodeVersion(commit=commit, dirty=bool(changes))


def read_environment(lock: Path) -> Environment:
    """Read what decides results besides code, data and config; `SLUICE_IMAGE` names the image.

    Without a readable lock file the lock's hash is `unknown`.
    """
    return Environment(
        lock_hash=_hash_file(lock),
        python=platform.python_version(),
        platform=sysconfig.get_platform(),
        image=os.environ.get("SLUICE_IMAGE", ""),
    )


def _hash_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return UNKNOWN


def _run_git(root: Path, *arguments: str) -> str | None:
    """Give what git printed, None where it failed, is missing or took too long."""
    git = shutil.which("git")
    if git is None:
        return None
    # A hook's GIT_DIR would point elsewhere; optional locks would disturb whoever commits now.
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603
            [git, "-C", str(root), *arguments],
            env={**surroundings, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
