"""Everything public says what it is, gives or decides, and when it refuses."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sluice", "tasks", "flows", "cli", "serving", "demo")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public_nodes(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    yield "the module", tree
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


def raised_here(node: ast.AST) -> bool:
    """Whether the body itself raises an error it did not catch; inner functions aside."""
    stack = list(ast.iter_child_nodes(node))
    while stack:
        item = stack.pop()
        if isinstance(item, ast.Raise) and item.exc is not None:
            return True
        if not isinstance(item, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            stack += ast.iter_child_nodes(item)
    return False


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    missing = [name for name, node in public_nodes(tree) if not ast.get_docstring(node)]
    assert not missing


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_first_line_is_one_sentence(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {name: ast.get_docstring(node) or "" for name, node in public_nodes(tree)}
    firsts = {name: text.splitlines()[0] for name, text in found.items() if text}
    assert not {name: line for name, line in firsts.items() if not line.endswith((".", "?"))}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_whoever_raises_says_so(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [
        name
        for name, node in public_nodes(tree)
        if isinstance(node, ast.FunctionDef)
        and raised_here(node)
        and "Raises:" not in (ast.get_docstring(node) or "")
    ]
    assert not silent
