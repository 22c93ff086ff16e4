"""Files, functions and folders stay small enough to read in one sitting."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sluice", "tasks", "flows", "cli", "serving", "demo", "benchmarks")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
FILE, FUNCTION, MEDIAN, FOLDER, FLOW = 500, 60, 12, 16, 80


@cache
def functions_of(path: Path) -> list[tuple[str, int]]:
    """The functions of a file: where each is, and its lines of code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    place = path.relative_to(ROOT)
    return [
        (f"{place}:{node.lineno} {node.name}", length_of(node))
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]


def length_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code; the docstring does not count against a function."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_files_have_at_most_500_lines() -> None:
    assert FILES
    long = [
        f"{path.relative_to(ROOT)}:{n} lines, at most {FILE}"
        for path in FILES
        if (n := lines_of(path)) > FILE
    ]
    assert not long, "\n" + "\n".join(long)


def test_functions_have_at_most_60_lines() -> None:
    long = [
        f"{function}: {n} lines, at most {FUNCTION}"
        for path in FILES
        for function, n in functions_of(path)
        if n > FUNCTION
    ]
    assert not long, "\n" + "\n".join(long)


def test_the_median_function_has_at_most_12_lines() -> None:
    assert median(n for path in FILES for _, n in functions_of(path)) <= MEDIAN


def test_folders_hold_at_most_16_files() -> None:
    """A package's `__init__.py` does not count: it holds a sentence."""
    sizes = Counter(path.parent for path in FILES if path.name != "__init__.py")
    full = [
        f"{folder.relative_to(ROOT)}: {n} Python files, at most {FOLDER}: make wings"
        for folder, n in sizes.items()
        if n > FOLDER
    ]
    assert not full, "\n" + "\n".join(full)


def test_flow_files_have_at_most_80_lines() -> None:
    flows = [path for path in (ROOT / "flows").glob("*.py") if "@flow(" in path.read_text()]
    assert flows
    assert {path.name: n for path in flows if (n := lines_of(path)) > FLOW} == {}
