"""Everything public says what it is, returns or decides, and when it refuses."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sluice", "tasks", "flows", "cli", "serving", "demo")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public_nodes(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    yield "the module", tree
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("_"):
                continue
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(inner, FUNCTIONS) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


@cache
def list_documented() -> tuple[tuple[str, Documented, str], ...]:
    """Give everything public: its place and name, its node, its docstring."""
    assert FILES
    return tuple(
        (f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {name}", node, docstring)
        for path in FILES
        for name, node in public_nodes(ast.parse(path.read_text(encoding="utf-8")))
        for docstring in [ast.get_docstring(node) or ""]
    )


def raised_here(node: ast.AST) -> bool:
    """Whether the body itself raises an error it did not catch; inner functions aside."""
    stack = list(ast.iter_child_nodes(node))
    while stack:
        item = stack.pop()
        if isinstance(item, ast.Raise) and item.exc is not None:
            return True
        if isinstance(item, ast.Try) and any(catches_all(one) for one in item.handlers):
            stack += [*item.handlers, *item.orelse, *item.finalbody]
        elif not isinstance(item, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            stack += ast.iter_child_nodes(item)
    return False


def catches_all(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.type, ast.Name) and handler.type.id == "Exception"


def test_public_names_have_docstrings() -> None:
    missing = [place for place, _, docstring in list_documented() if not docstring]
    assert not missing, "\n" + "\n".join(missing)


def test_first_line_is_one_sentence() -> None:
    firsts = [(place, text.splitlines()[0]) for place, _, text in list_documented() if text]
    broken = [f"{place}: {line}" for place, line in firsts if not line.endswith((".", "?"))]
    assert not broken, "\n" + "\n".join(broken)


def test_what_raises_says_so() -> None:
    silent = [
        place
        for place, node, docstring in list_documented()
        if isinstance(node, FUNCTIONS) and raised_here(node) and "Raises:" not in docstring
    ]
    assert not silent, "\n" + "\n".join(silent)
