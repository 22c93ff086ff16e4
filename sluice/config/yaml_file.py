"""A YAML file as keys and values, and the line on which a key stands."""

import os
from pathlib import Path
from typing import Any, cast

import yaml

from sluice.errors import ConfigInvalid

Location = tuple[int | str, ...]
"""Keys and places in lists, from the file's top."""


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a file of keys and values; an empty one has none.

    Raises:
        ConfigInvalid: the file cannot be read, is no YAML, or gives a key twice.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506
    except OSError as error:
        raise ConfigInvalid(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from error
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigInvalid(f"{path}{line}: not readable as YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, TypeError) as error:  # a date or a key that cannot be
        raise ConfigInvalid(f"{path}: not readable as YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigInvalid(f"{path}: expected keys and values, found {type(values).__name__}")
    return cast(dict[str, Any], values)


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key.value}' is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def find_line(path: Path, location: Location) -> int:
    """Give the line of a key in a file; of the deepest part that the file has, else."""
    return _step_down(path, location)[0]


def has_key(path: Path, location: Location) -> bool:
    """Whether a file is there and gives a key."""
    return path.exists() and _step_down(path, location)[1]


def _step_down(path: Path, location: Location) -> tuple[int, bool]:
    """Give the line of the location's deepest key in the file, and whether it has all of it."""
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line = 1
    for index, part in enumerate(location):
        found = _step(node, part)
        if found is None:
            return line, False
        line, node = found
        if index == len(location) - 1:
            return line, True
    return line, False


def _step(node: yaml.Node | None, part: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None
