"""The commands of docs/your-own-data.md do what the page says, one after the other."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.home import CONFIGS, PROJECT, SUITES
from support.servers.forks import run_command

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "your-own-data.md").read_text(encoding="utf-8")
REFUSED = "add educ set"
"""The one command that the page itself says is refused."""


def commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


def prepare(folder: Path) -> None:
    (folder / "configs").mkdir()
    (folder / "gx").mkdir()
    for name in ("development.yaml", "production.yaml"):
        shutil.copy(CONFIGS / name, folder / "configs")
    shutil.copy(SUITES / "great_expectations.yml", folder / "gx")


@pytest.mark.slow
def test_every_command_of_the_page_runs(api: str, tmp_path: Path) -> None:
    prepare(tmp_path)
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "SLUICE_HOME": str(tmp_path / "home"),
        "SLUICE_CONFIGS": str(tmp_path / "configs"),
        "SLUICE_SUITES": str(tmp_path / "gx"),
    }
    assert len(commands()) == 10
    printed = {}
    for command in commands():
        program, *arguments = shlex.split(command)
        if program.endswith("sluice"):
            done = run_command("cli", arguments, environment, 180.0, tmp_path)
        else:
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
        expected = 2 if REFUSED in command else 0
        assert done.returncode == expected, command + "\n" + done.stdout + done.stderr
        printed[command] = done.stdout
    output = "\n".join(printed.values())
    for words in (
        "survey v1 is champion",
        "edited 24: age within [15, 65]",
        "removed 41: distribu",
    ):
        assert words in output
    assert "is number; allowed: columns of kind integer, text, boolean" in output


def test_the_readme_points_to_the_page() -> None:
    assert "docs/your-own-data.md" in (ROOT / "README.md").read_text(encoding="utf-8")
