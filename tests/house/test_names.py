"""Names that would mislead Python, Prefect or a reader are not used."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sluice", "tasks", "flows", "cli", "serving", "demo")
VAGUE = {"utils", "helpers", "common", "base", "core", "misc"}
GROUPED = {"flows/data", "flows/drift", "flows/release", "flows/rollout", "flows/stack"}
"""Folders of tests without a folder of their room: the flows lie side by side, by what they do."""
OLD_WORDS = re.compile(
    r"\b(weigh|weighs|weighed|amiss|teach|teaches|lineup|belief)\b", re.IGNORECASE
)
"""Words that a reader would have to learn; docs/glossary.md has the field's."""
STANDARD_SENSE: tuple[tuple[str, str], ...] = ()
"""Lines in which such a word means what everybody means by it: file, and a part of the line."""
READ = {".py", ".md", ".yaml", ".yml", ".toml", ".js", ".css", ".html", ".svg", ".json", ".sql", ""}
READ_FOLDERS = (*ROOMS, "tests", "benchmarks", "configs", "docs", "prompts", "gx", ".github", ".ci")
READ_FILES = ("README.md", "Makefile", "pyproject.toml", "deployments.yaml")


def test_flow_files_shadow_nothing() -> None:
    """Prefect puts a script's own folder first on the import path."""
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()}
    taken = set(sys.stdlib_module_names) | set(packages_distributions()) | ours
    names = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__", "__main__"}
    assert not names & taken


def test_no_file_has_a_vague_name() -> None:
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    vague = [str(path.relative_to(ROOT)) for path in files if path.stem in VAGUE]
    assert not vague, "\n" + "\n".join(vague)


def test_one_name_is_one_class() -> None:
    """The demo aside, which imports all of them."""
    places: dict[str, list[str]] = defaultdict(list)
    for room in ("cli", "flows", "tasks", "sluice", "serving"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert places
    doubles = [f"{name}: {', '.join(at)}" for name, at in places.items() if len(at) > 1]
    assert not doubles, "\n" + "\n".join(doubles)


def modules_of(contract: dict[str, Any]) -> Iterator[str]:
    """Give every module that an import contract names, in full."""
    for container in contract.get("containers", [""]):
        for layer in contract.get("layers", []):
            for name in re.split(r"[|:]", layer):
                yield f"{container}.{name.strip(' ()')}".lstrip(".")
    for key, value in contract.items():
        if key.endswith("_modules") or key in ("containers", "modules", "allowed_importers"):
            yield from value
        if key == "ignore_imports":
            yield from (name for line in value for name in line.split(" -> "))
    for container in contract.get("containers", []):
        yield from (f"{container}.{name}" for name in contract.get("exhaustive_ignores", []))


def test_what_import_contracts_name_exists() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    installed = set(packages_distributions())
    unknown = [
        f"{contract['name']}: {name}"
        for contract in settings["contracts"]
        for name in modules_of(contract)
        for place in [ROOT.joinpath(*name.split("."))]
        if name not in installed and not place.is_dir() and not place.with_suffix(".py").is_file()
    ]
    assert not unknown, "\n" + "\n".join(unknown)
    assert settings["root_packages"]
    assert {*settings["root_packages"]} == {*ROOMS}


def test_tests_lie_where_what_they_test_lies() -> None:
    folders = {
        str(path.parent.relative_to(ROOT / "tests"))
        for room in ROOMS
        for path in (ROOT / "tests" / room).rglob("*.py")
    }
    alone = sorted(name for name in folders if not (ROOT / name).is_dir())
    assert set(alone) == GROUPED, "\n" + "\n".join(alone)


def test_nothing_speaks_the_old_language() -> None:
    files = [path for folder in READ_FOLDERS for path in (ROOT / folder).rglob("*")]
    files = [path for path in files if path.is_file() and path.suffix in READ]
    lines = [
        (str(path.relative_to(ROOT)), number, line)
        for path in sorted([*files, *(ROOT / name for name in READ_FILES)])
        if path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if OLD_WORDS.search(line)
    ]
    found = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, number, line in lines
        if not any(path == file and part in line for file, part in STANDARD_SENSE)
    ]
    assert not found, "\n" + "\n".join(found)


def test_production_code_knows_no_planted_fault() -> None:
    """Only the command line's own command may say the word."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for room in ("cli", "flows", "tasks", "sluice")
        for path in (ROOT / room).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"\b(planted|demo)\b", line, re.IGNORECASE)
    ]
    assert all(place.startswith("cli/stack.py") for place in found), found


def test_no_gate_is_given_retries() -> None:
    """`with_options` would bypass the rule that a gate runs once."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "with_options" in line
    ]
    assert not found, "\n" + "\n".join(found)


def test_packages_import_from_anywhere() -> None:
    code = "import sluice.verdict, tasks, cli.__main__, demo"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_help_is_instant_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, cli.__main__; heavy = {'prefect', 'mlflow', 'sklearn', 'pandas', 'scipy', "
        "'numpy', 'pydantic', 'sqlalchemy', 'great_expectations', 'matplotlib', 'deltalake'} & "
        "set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
