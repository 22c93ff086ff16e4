"""Print, as a JSON list, the services that changed since a commit; with --prompts, the prompts.

A file under data/ belongs to the service whose name stands in its own; so do its configuration, its
suite and the script that writes its example. Prompts, docs, tests and what only the gateway or a
rollout reads change no model; anything else is code, and changes them all.

Of a prompt, each version whose file changed is named, and with an empty version the one that is
wished, where its cases or limits changed. The wish itself, judges and models change all prompts.
"""

import json
import re
import subprocess
import sys
from pathlib import PurePosixPath

OVERLAYS = {"development", "production"}
OWNED = ("data", "configs", "gx", "docs")
HARMLESS = ("prompts", "docs", "tests", "benchmarks", "serving", ".github")
VERSION = re.compile(r"v([1-9]\d{0,5})\.yaml")
JUDGES = "judges"
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


def find_prompts(files: list[PurePosixPath]) -> list[str]:
    """Name the prompts of a tree's files, sorted: the folders in prompts/ that have a version.

    The same rule as `list_prompts` of sluice.prompts.listing.
    """
    found = {path.parts[1] for path in files if _is_version(path)}
    return sorted(name for name in found if name != JUDGES and not name.startswith("."))


def find_changed_prompts(
    changed: list[PurePosixPath], files: list[PurePosixPath], new: bool = False
) -> list[dict[str, str]]:
    """Name the prompts with their versions that the changed files concern, sorted.

    `files` are those of the tree. In a new branch, every prompt's wished version is named.
    """
    prompts, found = find_prompts(files), set[tuple[str, str]]()
    for path in [] if new else changed:
        if path.parts[:2] == ("configs", "llm") or _is_for_all(path):
            found |= {(name, "") for name in prompts}
        elif _is_in_prompt(path) and path.parts[1] in prompts and path.suffix != ".md":
            version = VERSION.fullmatch(path.name) if path in files else None
            found.add((path.parts[1], version[1] if version else ""))
    found |= {(name, "") for name in prompts if new}
    return [{"prompt": name, "version": version} for name, version in sorted(found)]


def _is_in_prompt(path: PurePosixPath) -> bool:
    return path.parts[:1] == ("prompts",) and len(path.parts) == 3


def _is_version(path: PurePosixPath) -> bool:
    return _is_in_prompt(path) and VERSION.fullmatch(path.name) is not None


def _is_for_all(path: PurePosixPath) -> bool:
    return path.parts in {("prompts", "config.yaml")} or path.parts[:2] == ("prompts", JUDGES)


def _belongs(path: PurePosixPath, service: str) -> bool:
    return f"_{service}_" in f"_{path.stem.replace('-', '_')}_" or service in path.parts[:-1]


if __name__ == "__main__":
    before = sys.argv[1]
    tree = list_files("ls-files")
    new = not before.strip("0")  # the first push of a branch has no commit before it
    names = tree if new else list_files("diff", "--name-only", f"{before}...HEAD")
    if "--prompts" in sys.argv[2:]:
        print(json.dumps(find_changed_prompts(names, tree, new)))  # noqa: T201
    else:
        print(json.dumps(find_changed(names, find_services(tree))))  # noqa: T201
