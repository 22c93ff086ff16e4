"""The environment of a lock, made by uv, and a process in it that makes a version again."""

import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from sluice.errors import LockUninstallable, NotReproducible

INSTALL_SECONDS = 3600.0
"""Longest installation of a lock; about 2 GB are fetched where nothing is cached."""
RUN_SECONDS = 24 * 3600.0
"""Longest that a version is trained again."""
SHOWN_LINES = 3
"""Last lines of a failed process in its error."""
NOTHING: Mapping[str, str] = MappingProxyType({})
OWN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
"""Variables of this process that another environment must not see."""


def make_environment(lock: Path, python: str, folder: Path) -> Path:
    """Make an environment with the packages of a lock, each checked by its hash; give its Python.

    `python` is the version that it must have, such as `3.11.9`.

    Raises:
        LockUninstallable: there is no uv, no such Python, or a package cannot be installed.
    """
    uv = _find_uv()
    place = folder / "environment"
    found = sys.executable if _is_version(python) else python
    _run_uv([uv, "venv", "--no-project", "--python", found, str(place)], f"Python {python}")
    interpreter = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [uv, "pip", "install", "--python", str(interpreter), "--require-hashes"]
    _run_uv([*install, "--requirement", str(lock)], f"lock {lock.name}")
    return interpreter


def run_module(
    interpreter: Path,
    code: Path,
    module: str,
    folder: Path,
    variables: Mapping[str, str] = NOTHING,
) -> None:
    """Run a module of a checkout in a process; `folder` holds its task, and gets its result.

    Its output goes to `output.log` in the folder; `variables` are added to the environment.

    Raises:
        NotReproducible: the commit is older than the module, or the process failed.
    """
    if not (code / module.replace(".", "/")).with_suffix(".py").is_file():
        raise NotReproducible(
            f"{module}: the version's commit does not have it: its code is older than `sluice "
            "reproduce`; next: release again with today's code"
        )
    environment = {key: value for key, value in os.environ.items() if key not in OWN}
    environment |= {
        "PYTHONPATH": str(code),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment |= variables
    log = folder / "output.log"
    try:
        with log.open("wb") as output:
            done = subprocess.run(  # noqa: S603
                [str(interpreter), "-m", module, str(folder)],
                cwd=code,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=RUN_SECONDS,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReproducible(
            f"{module}: the process did not end by itself: {error}; next: try again"
        ) from error
    if done.returncode:
        raise NotReproducible(
            f"{module}: ended with code {done.returncode}: {_read_end(log)}; next: correct the "
            "cause; the version's own code ran in its own environment"
        )


def _find_uv() -> str:
    """Return the program uv: beside this interpreter, else on the PATH.

    Raises:
        LockUninstallable: there is none.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise LockUninstallable(
            "uv: found none; needed: an environment of the version's lock; next: `pip install uv`, "
            "or reproduce where the installed lock is the version's"
        )
    return found


def _is_version(python: str) -> bool:
    return python == ".".join(map(str, sys.version_info[:3]))


def _run_uv(command: list[str], subject: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in OWN}
    try:
        done = subprocess.run(  # noqa: S603
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALL_SECONDS,
            check=False,
        )
        words, failed = done.stderr, bool(done.returncode)
    except (OSError, subprocess.TimeoutExpired) as error:
        words, failed = str(error), True
    if failed:
        lines = [line.strip() for line in words.splitlines() if line.strip()]
        raise LockUninstallable(
            f"{subject} of the version cannot be installed: {' '.join(lines)[:400]}; next: see "
            "that the package index is reachable and has these packages, or reproduce in the "
            "version's container image"
        )


def _read_end(log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as lines:
        last = deque((line.strip() for line in lines if line.strip()), SHOWN_LINES)
    return " / ".join(last)[-400:] or "it printed nothing"
