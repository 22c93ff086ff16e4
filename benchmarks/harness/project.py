"""Folders of a project of its own: overlays, policies and the context of suites, no service."""

import shutil
from pathlib import Path

from sluice.home import PROJECT


def name_folders(root: Path) -> dict[str, str]:
    """Return the variables that name the folders of state, configurations and suites."""
    return {
        "SLUICE_HOME": str(root / "state"),
        "SLUICE_CONFIGS": str(root / "configs"),
        "SLUICE_SUITES": str(root / "gx"),
    }


def make_folders(root: Path) -> None:
    """Make the folders of configurations and suites."""
    configs, suites = root / "configs", root / "gx"
    configs.mkdir(parents=True)
    suites.mkdir()
    for name in ("development.yaml", "production.yaml"):
        shutil.copy(PROJECT / "configs" / name, configs)
    for name in ("policies", "gateway"):
        shutil.copytree(PROJECT / "configs" / name, configs / name)
    shutil.copy(PROJECT / "gx" / "great_expectations.yml", suites)
