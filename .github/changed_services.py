"""Print, as a JSON list, the services that changed since a commit.

A file under data/ belongs to the service whose name stands in its own; so do its configuration, its
suite and the script that writes its example. Prompts, docs, tests and what only the gateway or a
rollout reads change no model; anything else is code, and changes them all.
"""

import json
import subprocess
import sys
from pathlib import PurePosixPath

OVERLAYS = {"development", "production"}
OWNED = ("data", "configs", "gx", "docs")
HARMLESS = ("prompts", "docs", "tests", "benchmarks", "serving", ".github")
LATER = (("configs", "gateway"), ("configs", "policies"))
"""Settings of what comes after a release: no release reads them, and no release's hash has them."""


def list_files(*arguments: str) -> list[PurePosixPath]:
    """Return the paths that a git command prints."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)  # noqa: S603, S607
    return [PurePosixPath(line) for line in done.stdout.splitlines()]


def find_services(files: list[PurePosixPath]) -> list[str]:
    """Name the services of a tree's files, sorted: those of the YAML files directly in configs/.

    The same rule as `list_services` of sluice.config.loading, which needs the whole installation.
    """
    configs = [path for path in files if path.parts[:-1] == ("configs",) and path.suffix == ".yaml"]
    return sorted(path.stem for path in configs if path.stem not in OVERLAYS)


def find_changed(changed: list[PurePosixPath], services: list[str]) -> list[str]:
    """Name the services that the changed files concern, sorted."""
    found: set[str] = set()
    for path in changed:
        if path.parts[:2] in LATER:
            continue
        room = path.parts[0] if len(path.parts) > 1 else ""
        mine = {name for name in services if room in OWNED and _belongs(path, name)}
        if not mine and room not in HARMLESS and path.suffix != ".md":
            return services
        found |= mine
    return sorted(found)


def _belongs(path: PurePosixPath, service: str) -> bool:
    return f"_{service}_" in f"_{path.stem.replace('-', '_')}_" or service in path.parts[:-1]


if __name__ == "__main__":
    before = sys.argv[1]
    known = find_services(list_files("ls-files"))
    new = not before.strip("0")  # the first push of a branch has no commit before it
    names = list_files("ls-files") if new else list_files("diff", "--name-only", f"{before}...HEAD")
    print(json.dumps(find_changed(names, known)))  # noqa: T201
