"""What a release of a prompt depends on, and what it does not depend on."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sluice.prompts.change import identify_change
from sluice.prompts.folder import load_prompt
from support.prompts import (
    small_cases,
    write_rows,
    write_small_limits,
    write_small_prompt,
    write_small_version,
)


def identify(root: Path, version: int = 1, environment: str = "development") -> str:
    return identify_change(load_prompt("classify", root), version, environment)


def change_reason(root: Path) -> None:
    path = root / "classify" / "limits.yaml"
    path.write_text(path.read_text().replace("few cases", "very few cases"))


def add_bias_set(root: Path) -> None:
    case = {
        "attribute": "gender",
        "input": {"ticket": "{name} asks about billing."},
        "groups": {"woman": {"name": "Emily"}, "man": {"name": "Greg"}},
    }
    write_rows(root / "classify" / "bias_set.jsonl", [case])


def change_spend(root: Path) -> None:
    path = root / "classify" / "limits.yaml"
    values = yaml.safe_load(path.read_text())
    values["gates"]["development"]["spend"] = 1.0
    path.write_text(yaml.safe_dump(values))


CHANGES: dict[str, Callable[[Path], object]] = {
    "the version": lambda root: write_small_version(root / "classify", 1, system="Otherwise."),
    "the cases": lambda root: write_rows(root / "classify" / "eval_set.jsonl", small_cases(61)),
    "a limit": lambda root: write_small_limits(root / "classify", 0.8),
    "a gate": change_spend,
    "a bias set": add_bias_set,
}
HARMLESS: dict[str, Callable[[Path], object]] = {
    "another version": lambda root: write_small_version(root / "classify", 2, system="Otherwise."),
    "a reason": change_reason,
    "the order of cases": lambda root: write_rows(
        root / "classify" / "eval_set.jsonl", small_cases(60)[::-1]
    ),
    "a readme": lambda root: (root / "classify" / "README.md").write_text("Words."),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_decides_changes_it(name: str, tmp_path: Path) -> None:
    write_small_prompt(tmp_path)
    before = identify(tmp_path)
    CHANGES[name](tmp_path)
    assert identify(tmp_path) != before


@pytest.mark.parametrize("name", HARMLESS)
def test_what_decides_nothing_does_not(name: str, tmp_path: Path) -> None:
    write_small_prompt(tmp_path)
    before = identify(tmp_path)
    HARMLESS[name](tmp_path)
    assert identify(tmp_path) == before


def test_versions_and_environments_are_told_apart(tmp_path: Path) -> None:
    write_small_prompt(tmp_path)
    found = {identify(tmp_path), identify(tmp_path, 2), identify(tmp_path, 1, "production")}
    assert len(found) == 3
