"""Names that would mislead Python, Prefect or a reader are not used."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sluice", "tasks", "flows", "cli", "serving", "demo")
VAGUE = {"utils", "helpers", "common", "base", "core", "misc"}


def test_flow_files_shadow_nothing() -> None:
    """Prefect puts a script's own folder first on the import path."""
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()}
    taken = set(sys.stdlib_module_names) | set(packages_distributions()) | ours
    names = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__", "__main__"}
    assert not names & taken


def test_no_file_has_a_vague_name() -> None:
    names = {path.stem for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert not names & VAGUE


def test_production_code_knows_no_planted_fault() -> None:
    """Only the command line's own command may say the word."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for room in ("cli", "flows", "tasks", "sluice")
        for path in (ROOT / room).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"\b(planted|demo)\b", line, re.IGNORECASE)
    ]
    assert all(place.startswith("cli/__main__.py") for place in found), found


def test_no_gate_is_given_retries() -> None:
    """`with_options` would bypass the rule that a gate runs once."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert [path.name for path in files if "with_options" in path.read_text(encoding="utf-8")] == []


def test_packages_import_from_anywhere() -> None:
    code = "import sluice.verdict, tasks, cli.__main__, demo"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_help_is_instant_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, cli.__main__; heavy = {'prefect', 'mlflow', 'sklearn', 'pandas', 'scipy', "
        "'great_expectations', 'matplotlib', 'deltalake'} & set(sys.modules); sys.exit(str(heavy) "
        "if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
