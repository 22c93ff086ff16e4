"""Which prompts and versions there are, by the names of their files alone."""

import re
from pathlib import Path

from sluice.home import PROMPTS

VERSION_FILE = re.compile(r"v([1-9]\d{0,5})\.yaml")
JUDGES = "judges"
"""Folder of prompts that judge answers."""


def list_prompts(root: Path = PROMPTS) -> list[str]:
    """Return the names of the prompts of a folder, sorted; a folder with a dot first is none."""
    folders = (
        path
        for path in root.glob("*")
        if path.is_dir() and path.name != JUDGES and not path.name.startswith(".")
    )
    return sorted(path.name for path in folders if list_versions(path))


def list_versions(folder: Path) -> list[int]:
    """Return the versions that a prompt's folder has, in order."""
    found = (VERSION_FILE.fullmatch(path.name) for path in folder.glob("v*.yaml"))
    return sorted(int(match[1]) for match in found if match)


def name_release(service: str, root: Path = PROMPTS) -> str:
    """Return the command that releases a service's next version: of a prompt, or else a model."""
    is_prompt = service in list_prompts(root)
    return f"sluice prompt publish {service} VERSION" if is_prompt else f"sluice release {service}"
