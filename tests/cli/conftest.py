"""A project of one's own for the commands that write configurations and suites."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sluice.home import CONFIGS, SUITES
from support.releases.runs import Run, run_sluice


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Folders for configurations and suites of a service's own."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "gx").mkdir()
    for name in ("development.yaml", "production.yaml"):
        shutil.copy(CONFIGS / name, tmp_path / "configs")
    shutil.copy(SUITES / "great_expectations.yml", tmp_path / "gx")
    return tmp_path


@pytest.fixture
def sluice(project: Path) -> Run:
    """Run the command line on those folders."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return run_sluice(
            *arguments,
            home=project / "home",
            SLUICE_CONFIGS=str(project / "configs"),
            SLUICE_SUITES=str(project / "gx"),
        )

    return run
