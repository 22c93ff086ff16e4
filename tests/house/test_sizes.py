"""Files and functions stay small enough to read in one sitting."""

import ast
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sluice", "tasks", "flows", "cli", "serving", "demo", "benchmarks")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def length_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code; the docstring does not count against a function."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_function_has_at_most_60_lines(path: Path) -> None:
    long = {node.name: length_of(node) for node in functions_of(path) if length_of(node) > 60}
    assert not long


def test_flow_files_have_at_most_80_lines() -> None:
    flows = [path for path in (ROOT / "flows").glob("*.py") if "@flow(" in path.read_text()]
    assert flows
    assert {path.name: n for path in flows if (n := len(path.read_text().splitlines())) > 80} == {}


def test_medians_hold_the_house_style() -> None:
    files = [len(path.read_text().splitlines()) for path in FILES if path.name != "__init__.py"]
    lengths = [length_of(node) for path in FILES for node in functions_of(path)]
    assert median(files) <= 130
    assert median(lengths) <= 12
