"""What the repository promises about itself."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = (
    "requirements.lock",
    "requirements-browser.lock",
    "requirements-local-llm.lock",
    "benchmarks/own_data/requirements.lock",
)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_host(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize("name", LOCKS)
def test_lock_has_a_hash_for_every_package(name: str) -> None:
    text = (ROOT / name).read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    assert [block.split("\n")[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_pins_that_were_found_the_hard_way_hold() -> None:
    assert version("prefect") == "3.8.8"
    assert version("mlflow") == "3.17.2"
    assert tuple(map(int, version("fastapi").split(".")[:2])) < (0, 151)
    assert tuple(map(int, version("sqlalchemy").split(".")[:2])) < (2, 1)
    assert int(version("protobuf").split(".")[0]) < 7


def test_it_is_never_published() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "Private :: Do Not Upload" in project["classifiers"]


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"`?make ([a-z][a-z-]+)", (ROOT / "README.md").read_text()))
    assert used
    assert used <= targets


def test_a_variable_of_make_is_set_once() -> None:
    """A recipe reads a variable when it runs: set twice, an earlier recipe has the later value."""
    text = (ROOT / "Makefile").read_text()
    found = re.findall(r"^(?:export )?([A-Za-z_.]+)\s*[:?]?=", text, re.MULTILINE)
    assert "VENV" in found
    assert sorted(found) == sorted(set(found))


def test_no_line_of_the_changelog_is_there_twice() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text().partition("\n## [0")[0].splitlines()
    entries = [line for line in lines if line.startswith("- ")]
    assert entries
    assert sorted(entries) == sorted(set(entries))


def test_changelog_has_the_current_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text()
