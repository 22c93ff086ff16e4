"""A git repository with the project's code, clean whatever the project's own tree is."""

import shutil
import subprocess
from pathlib import Path

from sluice.home import PROJECT

COPIED = ("sluice", "tasks")
"""The rooms that a reproduction's process imports."""


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as a person that no configuration knows; return its output."""
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make_repository(folder: Path, files: dict[str, str]) -> str:
    """Make a repository of a few files and return its first commit."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "init", "--quiet")
    return commit_all(folder)


def commit_all(folder: Path, message: str = "a change") -> str:
    """Commit everything in a repository and return the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def copy_project(folder: Path, rooms: tuple[str, ...] = COPIED) -> Path:
    """Make a repository of rooms of the project as they are now, and return its folder."""
    for room in rooms:
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / room, folder / room, ignore=skipped)
    shutil.copy(PROJECT / "requirements.lock", folder)
    make_repository(folder, {".gitignore": "__pycache__/\n"})
    return folder
