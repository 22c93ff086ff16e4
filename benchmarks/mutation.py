"""A seeded sample of small changes to the rooms that decide, each against the unit tests.

`python -m benchmarks.mutation [--changes 100] [--seed 21]`. A change that no test notices survives;
the list of survivors names what the tests do not hold. The packages are copied into a temporary
folder first, so the working tree is never touched. One process runs at a time: each test run is a
fork of this one, which has imported the heavy libraries once.
"""

import argparse
import ast
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.harness.results import Row, report

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("gates", "stats", "rollout")
"""Rooms of `sluice` that are changed; a folder below them (the simulation) is not."""
KINDS = ("comparison", "arithmetic", "constant", "branch", "return")
TARGET = 95.0
FIXED_SECONDS, TIMES_AS_LONG = 30.0, 6.0
"""Time limit of a test run: this, and so many times what its tests take on unchanged code."""
MEMORY = 8 * 2**30
"""Most bytes of address space that a test run may take."""
PATIENCE = 1000
"""Calls of a function without a new line after which its lines are no longer noted."""
LEFT_OUT_FOLDERS = ("adapters",)
"""Folders of tests/sluice whose tests are about outside systems."""
LEFT_OUT_FIELDS = {"annotation", "returns", "decorator_list", "type_params"}
LEFT_OUT_KEYWORDS = {"strict", "kind", "dtype", "axis", "cache"}
"""Arguments that guard a call, or with which it could not be made."""
SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.And: (ast.Or,), ast.Or: (ast.And,),
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,), ast.FloorDiv: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
}  # fmt: skip
EMPTY = {"bool": "not ({})", "float": "({}) + 1", "int": "({}) + 1", "str": '""', "list": "[]"}
"""What a function returns instead, by the first word of its annotation; any other: None."""


@dataclass(frozen=True)
class Change:
    """One small change: the bytes from `start` to `end` of a file become `text`."""

    file: str
    line: int
    kind: str
    before: str
    after: str
    start: int
    end: int
    text: str
    lines: tuple[int, int]
    """First and last line of the statement: a test that runs one of them reaches the change."""
    statement: str
    offset: int
    """Bytes from the statement's first line to the change."""

    @property
    def name(self) -> str:
        """The change as it is listed; a constant stands in its statement."""
        words = f"{self.file}:{self.line} {self.kind}: {self.before} -> {self.after}"
        code = " ".join(self.statement.partition(":")[2].split())
        return f"{words} in `{code}`" if self.kind == "constant" else words


@dataclass(frozen=True)
class Reach:
    """What a test file does on unchanged code: the lines it runs by file, and its seconds."""

    seconds: float
    lines: dict[str, frozenset[int]]


@dataclass
class Result:
    """How the changes ended."""

    killed: list[Change] = field(default_factory=list)
    late: list[Change] = field(default_factory=list)
    """Killed because the tests did not end in time."""
    survived: list[Change] = field(default_factory=list)
    unreached: list[Change] = field(default_factory=list)
    """Survivors that no test file reaches."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=21)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sluice-mutation-") as folder:
        tree = copy_tree(Path(folder))
        import_libraries()
        chosen = choose_changes(list_changes(tree), options.changes, options.seed)
        reached, broken = measure_reach(tree)
        result = try_changes(tree, chosen, reached)
    minutes = (time.monotonic() - started) / 60
    survivors = [change.name for change in (*result.survived, *result.unreached)]
    print("survivors:", *(survivors or ["none"]), sep="\n  ")
    notes = {
        "seed": options.seed,
        "survivors": survivors,
        "no test reaches": [change.name for change in result.unreached],
        "test files that fail on unchanged code, left out": broken,
    }
    report("mutation", list_rows(chosen, result, minutes), notes)


def list_rows(chosen: list[Change], result: Result, minutes: float) -> list[Row]:
    """Return the share killed, in all and by kind and room, and what it took."""
    alive = {id(change) for change in (*result.survived, *result.unreached)}

    def share(part: list[Change]) -> float:
        return 100 * sum(id(change) not in alive for change in part) / max(len(part), 1)

    rows = [Row("killed", share(chosen), "%", TARGET, at_least=True)]
    for kind in KINDS:
        part = [change for change in chosen if change.kind == kind]
        rows.append(Row(f"killed: {kind} ({len(part)})", share(part), "%"))
    for room in ROOMS:
        part = [change for change in chosen if f"/{room}/" in change.file]
        rows.append(Row(f"killed: sluice/{room} ({len(part)})", share(part), "%"))
    return [
        *rows,
        Row("changes", len(chosen), "changes"),
        Row("survived", len(alive), "changes"),
        Row("of them reached by no test", len(result.unreached), "changes"),
        Row("killed by the time limit", len(result.late), "changes"),
        Row("duration", minutes, "min"),
    ]


def copy_tree(folder: Path) -> Path:
    """Copy what is changed and what tests it; everything else is a link."""
    tree = folder / "tree"
    tree.mkdir()
    (folder / "tmp").mkdir()
    unwanted = shutil.ignore_patterns("__pycache__")
    for path in ROOT.iterdir():
        if path.name in ("sluice", "tests"):
            shutil.copytree(path, tree / path.name, ignore=unwanted)
        elif not path.name.startswith("."):
            (tree / path.name).symlink_to(path)
    return tree


def import_libraries() -> None:
    """Import once what most tests need, before the first fork; one thread is enough for each."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import pydantic  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import sqlalchemy  # noqa: F401

    assert "sluice" not in sys.modules, "each fork imports the changed code itself"


# The changes


def list_changes(tree: Path) -> list[Change]:
    """List every change of every file, in order."""
    files = [path for room in ROOMS for path in sorted((tree / "sluice" / room).glob("*.py"))]
    return [change for path in files for change in _change_file(path, tree)]


def choose_changes(changes: list[Change], wanted: int, seed: int) -> list[Change]:
    """Choose equally many of each kind, by a hash of the seed and of the changed statement.

    A statement that is not edited keeps its place in the draw, whatever is edited elsewhere.
    """

    def rank(change: Change) -> str:
        words = (seed, Path(change.file).name, change.statement, change.offset, change.text)
        return sha256(repr(words).encode()).hexdigest()

    of_kind = {kind: sorted((c for c in changes if c.kind == kind), key=rank) for kind in KINDS}
    chosen: list[Change] = []
    while len(chosen) < min(wanted, len(changes)):
        for pool in of_kind.values():
            if pool and len(chosen) < wanted:
                chosen.append(pool.pop(0))
    return sorted(chosen, key=lambda change: (change.file, change.line))


def _change_file(path: Path, tree: Path) -> Iterator[Change]:
    source = path.read_bytes()
    rows = source.splitlines(keepends=True)
    starts = [0, *accumulate(map(len, rows))]
    module = ast.parse(source)
    name = str(path.relative_to(tree))
    for node, statement, function in _walk(module, module, None):
        first, last = _span_of(statement)
        words = b"".join(rows[first - 1 : last]).decode()
        for kind, before, after in _change_node(node, function):
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            text = after if isinstance(node, ast.stmt) else f"({after})"
            yield Change(
                name, node.lineno, kind, before, after, start, end, text, (first, last),
                f"{getattr(function, 'name', '')}: {words}", start - starts[first - 1],
            )  # fmt: skip


def _walk(node: ast.AST, statement: Any, function: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Return each node that may change, with its statement and its function."""
    if isinstance(node, ast.FunctionDef):
        function = node
    for name, value in ast.iter_fields(node):
        if name in LEFT_OUT_FIELDS:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_left_out(child):
                place = child if isinstance(child, ast.stmt) else statement
                child.is_test = name in ("test", "ifs")  # type: ignore[attr-defined]
                if hasattr(child, "lineno"):
                    yield child, place, function
                yield from _walk(child, place, function)


def _is_left_out(node: ast.AST) -> bool:
    """Whether nothing in a node decides: messages, what Python prints, imports for types."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert):
        return True
    if isinstance(node, ast.FunctionDef):
        return node.name in ("__repr__", "__str__")
    if isinstance(node, ast.keyword):
        return node.arg in LEFT_OUT_KEYWORDS
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _span_of(statement: Any) -> tuple[int, int]:
    """Return the first and the last line of a statement, of a block's head alone."""
    body = getattr(statement, "body", None)
    last = body[0].lineno - 1 if body else statement.end_lineno
    return statement.lineno, max(statement.lineno, last)


def _change_node(node: Any, function: Any) -> Iterator[tuple[str, str, str]]:
    """Return the changes of one node: kind, before, after."""
    before = ast.unparse(node)
    for kind, after in (*_change_operator(node, function), *_change_value(node, function)):
        if after != before:
            yield kind, before, after
    compared = isinstance(node, ast.Compare) and len(node.ops) == 1
    if node.is_test and not compared and not _is_not(node):  # those change by themselves
        yield "branch", before, f"not ({before})"


def _change_operator(node: Any, function: Any) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Compare(ops=[operator]):
            for swap in SWAPS.get(type(operator), ()):
                yield "comparison", _with(node, ops=[swap()])
        case ast.BoolOp():
            yield "branch", _with(node, op=SWAPS[type(node.op)][0]())
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()) if function:
            yield "branch", _with(node, op=SWAPS[type(node.op)][0]())
        case ast.BinOp() | ast.AugAssign() if _is_arithmetic(node):
            yield "arithmetic", _with(node, op=SWAPS[type(node.op)][0]())
        case ast.UnaryOp() if _is_not(node) or isinstance(node.op, ast.USub):
            yield "branch" if _is_not(node) else "arithmetic", ast.unparse(node.operand)


def _change_value(node: Any, function: Any) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Constant(value=bool()):
            yield "constant", repr(not node.value)
        case ast.Constant(value=int()):
            yield "constant", repr(node.value + 1)
        case ast.Constant(value=float()):
            yield "constant", repr(node.value * 2 or 1.0)
        case ast.Return(value=ast.expr()):
            value = ast.unparse(ast.parse(_replace_value(node.value, function)))
            yield "return", f"return {value}"


def _is_not(node: Any) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert)


def _is_arithmetic(node: Any) -> bool:
    """Whether an operator is on numbers: on texts and lists another one would only raise."""
    if type(node.op) not in SWAPS or isinstance(node.op, ast.BitAnd | ast.BitOr):
        return False
    parts = [node.value] if isinstance(node, ast.AugAssign) else [node.left, node.right]
    joined = ast.JoinedStr | ast.List | ast.ListComp | ast.Tuple
    return not any(
        isinstance(part, joined) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in parts
    )


def _with(node: Any, **changes: Any) -> str:
    values = {name: getattr(node, name) for name in node._fields}
    return ast.unparse(ast.fix_missing_locations(type(node)(**{**values, **changes})))


def _replace_value(value: ast.expr, function: Any) -> str:
    words = ast.unparse(function.returns) if function and function.returns else ""
    return EMPTY.get(words.split("[")[0], "None").format(ast.unparse(value))


# The tests


def measure_reach(tree: Path) -> tuple[dict[Path, Reach], list[str]]:
    """Run each test file alone on unchanged code; name those that fail, which are left out."""
    folder = tree / "tests" / "sluice"
    files = sorted(folder.rglob("test_*.py"))
    found: dict[Path, Reach] = {}
    broken = []
    for path in files:
        if path.relative_to(folder).parts[0] in LEFT_OUT_FOLDERS:
            continue
        record = tree.parent / "tmp" / "reach.json"
        started = time.monotonic()
        code = run_tests(tree, [path], 600.0, record)
        if code == 0:
            lines = json.loads(record.read_text())
            reached = {name: frozenset(numbers) for name, numbers in lines.items()}
            found[path] = Reach(time.monotonic() - started, reached)
        elif code != 5:  # noqa: PLR2004, RUF100 - pytest: no test was chosen, all are slow
            broken.append(str(path.relative_to(tree)))
    print(f"{len(found)} test files pass, {len(broken)} fail on unchanged code:", *broken)
    for cache in (tree / "sluice").rglob("__pycache__"):  # a change may keep a file's size and time
        shutil.rmtree(cache)
    return found, broken


def try_changes(tree: Path, changes: list[Change], reached: dict[Path, Reach]) -> Result:
    """Make each change alone and run the test files that reach it, until one fails."""
    result = Result()
    for number, change in enumerate(changes, 1):
        files = choose_tests(change, reached)
        limit = FIXED_SECONDS + TIMES_AS_LONG * sum(reached[path].seconds for path in files)
        path = tree / change.file
        source = path.read_bytes()
        path.write_bytes(source[: change.start] + change.text.encode() + source[change.end :])
        try:
            code = run_tests(tree, files, limit) if files else 0
        finally:
            path.write_bytes(source)
        ended = _file_result(result, change, code, bool(files))
        print(f"{number:3d} {ended:9s} {change.name}", flush=True)
    return result


def _file_result(result: Result, change: Change, code: int | None, reached: bool) -> str:
    if not reached:
        result.unreached.append(change)
        return "unreached"
    if code is None:
        result.late.append(change)
        return "late"
    (result.killed if code else result.survived).append(change)
    return "killed" if code else "SURVIVED"


def choose_tests(change: Change, reached: dict[Path, Reach]) -> list[Path]:
    """Return the test files that run the statement: the room's own first, then the quickest."""
    span = range(change.lines[0], change.lines[1] + 1)
    files = [path for path, one in reached.items() if one.lines.get(change.file, set()) & {*span}]
    room = Path(change.file).parent.name
    return sorted(files, key=lambda path: (path.parent.name != room, reached[path].seconds))


def run_tests(
    tree: Path, files: Iterable[Path], limit: float, record: Path | None = None
) -> int | None:
    """Run test files in a fork until the first fails; give pytest's exit code, None: too late.

    With `record` the lines that they run are written there.
    """
    child = os.fork()
    if child == 0:
        try:
            os._exit(_run_here(tree, files, record))
        except BaseException:  # noqa: BLE001, RUF100 - a fork must never return into its parent
            os._exit(70)
    ends = time.monotonic() + limit
    while time.monotonic() < ends:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _run_here(tree: Path, files: Iterable[Path], record: Path | None) -> int:
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    temporary = str(tree.parent / "tmp")
    os.environ.update(PYTHONPATH=str(tree), TMPDIR=temporary, PREFECT_SERVER_ANALYTICS_ENABLED="0")
    tempfile.tempdir = temporary
    sys.dont_write_bytecode = record is None
    import pytest

    lines = trace_lines(tree) if record else {}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # most of a start, and none is needed but
    plain = ["-p", "_hypothesis_pytestplugin", "-p", "no:cacheprovider"]
    plain += ["-x", "-q", "-m", "not slow and not browser"]
    place = ["-c", str(tree / "pyproject.toml"), "--rootdir", str(tree), "--hypothesis-seed=0"]
    code = pytest.main([*plain, *place, *map(str, files)], plugins=[Settings()])
    if record:
        sys.settrace(None)
        write_lines(lines, record)
    return int(code)


class Settings:
    """Property tests look for a failure, and do not make it smaller."""

    def pytest_configure(self) -> None:
        """Set what each property test begins with."""
        from hypothesis import Phase, settings

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutation", phases=phases, database=None, deadline=None)
        settings.load_profile("mutation")


@dataclass
class Watched:
    """The lines that a piece of code has run, and its calls since the last new one."""

    file: str
    lines: set[int] = field(default_factory=set)
    quiet: int = 0


def trace_lines(tree: Path) -> dict[int, Watched]:
    """Note from now on each line of the rooms that runs; code without a new one is let go."""
    folders = tuple(f"{tree / 'sluice' / room}{os.sep}" for room in ROOMS)
    found: dict[int, Watched] = {}  # by the code's identity: equal code may lie in two files

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(folders):
            return None
        watched = found.get(id(frame.f_code)) or Watched(name.removeprefix(f"{tree}/"))
        found[id(frame.f_code)] = watched
        watched.quiet += 1
        if watched.quiet > PATIENCE:
            return None

        def follow(frame: FrameType, event: str, argument: Any) -> Any:
            if frame.f_lineno not in watched.lines:
                watched.lines.add(frame.f_lineno)
                watched.quiet = 0
            return follow

        return follow

    sys.settrace(enter)
    return found


def write_lines(found: dict[int, Watched], record: Path) -> None:
    """Write the lines that ran, by file."""
    lines: dict[str, set[int]] = {}
    for watched in found.values():
        lines.setdefault(watched.file, set()).update(watched.lines)
    record.write_text(json.dumps({name: sorted(numbers) for name, numbers in lines.items()}))


if __name__ == "__main__":
    main()
