"""YAML and JSON read within limits: bytes, depth, and values once aliases are followed.

A few lines of YAML can stand for billions of values, and brackets alone can exhaust the stack of
every function that walks them. So nothing is built before it is measured.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Limits:
    """What a document may have at most: bytes, values within values, and values in all."""

    size: int
    depth: int
    values: int


YAML_LIMITS = Limits(size=512 * 1024, depth=40, values=20_000)
"""A configuration with 1,000 columns has 40 KB and 4,000 values."""
JSON_LIMITS = Limits(size=64 * 1024**2, depth=100, values=10_000_000)
LONGEST_NUMBER = 64
"""Characters of a number or date in YAML, or of a whole number in JSON; reading a longer one takes
time that grows faster."""
NUMBERS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))


class DocumentInvalid(ValueError):  # noqa: N818
    """A document that cannot be read, or is beyond a limit; `line` is where, 0 if unknown."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key that is given twice, or that is no plain value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of a node, with keys that JSON has too.

        Raises:
            yaml.constructor.ConstructorError: a key is given twice, or JSON has no such key.
        """
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _mark("a key must be a word, not a list or a mapping", key)
            if key.value in seen:
                raise _mark(f"key '{key.value}' is given twice", key)
            seen.add(key.value)
        found = super().construct_mapping(node, deep)
        for key in found:
            if not isinstance(key, str | int | float | None):
                words = f"key '{key}' is read as a {type(key).__name__}; write it in quotes"
                raise _mark(words, node)
        return found


def _mark(words: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, words, node.start_mark)


def read_yaml(path: Path, limits: Limits = YAML_LIMITS) -> Any:
    """Return what a file of YAML holds.

    Raises:
        DocumentInvalid: it is not YAML, or beyond a limit.
        OSError: the file cannot be read.
    """
    return parse_yaml(_read_text(path, limits), limits)


def read_json(path: Path, limits: Limits = JSON_LIMITS) -> Any:
    """Return what a file of JSON holds.

    Raises:
        DocumentInvalid: it is not JSON, or beyond a limit.
        OSError: the file cannot be read.
    """
    return parse_json(_read_text(path, limits), limits)


def _read_text(path: Path, limits: Limits) -> str:
    with path.open("rb") as file:
        content = file.read(limits.size + 1)
    return _decode(content, limits)


def _decode(text: str | bytes, limits: Limits) -> str:
    if len(text) > limits.size:
        raise DocumentInvalid(f"longer than the {limits.size:,} bytes that are allowed")
    try:
        return text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise DocumentInvalid(f"not readable as UTF-8 at byte {error.start:,}") from error


def parse_yaml(text: str | bytes, limits: Limits = YAML_LIMITS) -> Any:
    """Return what YAML holds.

    Raises:
        DocumentInvalid: it is not YAML, or beyond a limit.
    """
    node = compose_yaml(text, limits)
    try:
        return UniqueKeys("").construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        raise _explain(error) from error
    except (ValueError, TypeError, OverflowError) as error:  # an impossible date or number
        raise DocumentInvalid(f"not readable as YAML: {error}") from error


def compose_yaml(text: str | bytes, limits: Limits = YAML_LIMITS) -> yaml.Node | None:
    """Return the nodes of YAML, which know their lines; None for an empty document.

    Raises:
        DocumentInvalid: it is not YAML, or beyond a limit.
    """
    text = _decode(text, limits)
    try:
        _check_events(text, limits)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _explain(error) from error
    if node is not None:
        _check_nodes(node, limits)
    return node


def _explain(error: yaml.YAMLError) -> DocumentInvalid:
    if isinstance(error, yaml.MarkedYAMLError):
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        return DocumentInvalid(f"not readable as YAML: {error.problem}", line)
    return DocumentInvalid(f"not readable as YAML: {' '.join(str(error).split())}")


def _check_events(text: str, limits: Limits) -> None:
    """Follow the text without building anything: composing it would call itself in depth."""
    depth = values = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        values += isinstance(event, yaml.NodeEvent)
        if depth > limits.depth or values > limits.values:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise _describe_excess(depth, values, limits, line)


def _check_nodes(root: yaml.Node, limits: Limits) -> None:
    """Measure what the nodes stand for: an alias counts as all that it repeats."""
    measured: dict[int, tuple[int, int]] = {}
    begun: set[int] = set()
    stack = [root]
    while stack:
        node = stack[-1]
        if id(node) in measured:
            stack.pop()
            continue
        children = list(_list_children(node))
        missing = [child for child in children if id(child) not in measured]
        if missing and id(node) in begun:
            raise DocumentInvalid("an alias contains itself", node.start_mark.line + 1)
        begun.add(id(node))
        stack += missing
        if not missing:
            measured[id(node)] = _measure(node, [measured[id(child)] for child in children], limits)


def _measure(node: yaml.Node, inner: list[tuple[int, int]], limits: Limits) -> tuple[int, int]:
    """Return how deep a node is and how many values it stands for."""
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        if node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
            words = f"a number of {len(node.value):,} characters; allowed: {LONGEST_NUMBER}"
            raise DocumentInvalid(words, line)
        return 0, 1
    depth = 1 + max((depth for depth, _ in inner), default=0)
    values = 1 + sum(values for _, values in inner)
    if depth > limits.depth or values > limits.values:
        raise _describe_excess(depth, values, limits, line)
    return depth, values


def _list_children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair


def _describe_excess(depth: int, values: int, limits: Limits, line: int = 0) -> DocumentInvalid:
    if depth > limits.depth:
        return DocumentInvalid(f"nested {depth:,} deep; allowed: {limits.depth}", line)
    words = f"{values:,} values, with those that aliases repeat; allowed: {limits.values:,}"
    return DocumentInvalid(words, line)


def parse_json(text: str | bytes, limits: Limits = JSON_LIMITS) -> Any:
    """Return what JSON holds.

    Raises:
        DocumentInvalid: it is not JSON, or beyond a limit.
    """
    text = _decode(text, limits)
    try:
        found = json.loads(text, parse_int=_read_whole)
    except json.JSONDecodeError as error:
        words = f"not readable as JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        raise DocumentInvalid(words, error.lineno) from error
    except RecursionError as error:
        raise DocumentInvalid(f"nested too deep; allowed: {limits.depth}") from error
    except ValueError as error:  # a number that is too long
        raise DocumentInvalid(f"not readable as JSON: {error}") from error
    level, depth, values = [found], 0, 1
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [item for outer in level for item in _list_items(outer)]
        values += len(level)
        if depth > limits.depth or values > limits.values:
            raise _describe_excess(depth, values, limits)
    return found


def _read_whole(text: str) -> int:
    """Return a whole number; a longer one fits no column, and from 309 digits on no float."""
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text):,} characters; allowed: {LONGEST_NUMBER}")
    return int(text)


def _list_items(outer: dict[str, Any] | list[Any]) -> list[Any]:
    return list(outer.values()) if isinstance(outer, dict) else outer
