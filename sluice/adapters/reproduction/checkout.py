"""A commit of the project in a folder of its own: a git worktree, removed at the end."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice.errors import CommitLost, NotReproducible

GIT_SECONDS = 300.0
"""Longest time for one call of git."""


@contextmanager
def open_checkout(project: Path, commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out below a folder; give the project's folder in it, and remove it at the end.

    The project's own tree, branch and index stay as they are, and no hook of it runs.

    Raises:
        CommitLost: the repository does not have the commit.
        NotReproducible: git is missing, or the project is no checkout.
    """
    prefix = _find_prefix(project)
    if _run(project, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise CommitLost(
            f"{project}: commit {commit[:12]} is not in this repository; next: fetch it: "
            f"`git fetch origin {commit}`, or `git fetch --unshallow` in a shallow clone"
        )
    tree = folder / "checkout"
    made = _run(project, "worktree", "add", "--detach", "--force", str(tree), commit)
    try:
        if made.returncode:
            raise NotReproducible(
                f"{project}: commit {commit[:12]} cannot be checked out: {_read_last(made)}; next: "
                "`git worktree prune`, and see that the disk has room"
            )
        yield tree / prefix if prefix else tree
    finally:
        _run(project, "worktree", "remove", "--force", str(tree))
        shutil.rmtree(tree, ignore_errors=True)
        _run(project, "worktree", "prune")


def _find_prefix(project: Path) -> str:
    """Return the project's folder within its repository; empty where it is the root."""
    if shutil.which("git") is None:
        raise NotReproducible(
            "git: found none on the PATH; needed: the code of a version's commit; next: install git"
        )
    found = _run(project, "rev-parse", "--show-prefix")
    if found.returncode:
        raise NotReproducible(
            f"{project}: found no git repository, so the code of no commit is here "
            f"({_read_last(found)}); next: reproduce in a clone of the project"
        )
    return found.stdout.strip().rstrip("/")


def _run(project: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    # A hook's GIT_DIR would point elsewhere; the project's hooks are not ours to run.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(project), "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        return subprocess.run(  # noqa: S603
            command,
            env={**environment, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _read_last(done: "subprocess.CompletedProcess[str]") -> str:
    lines = done.stderr.strip().splitlines()
    return lines[-1][:300] if lines else "git said nothing"
