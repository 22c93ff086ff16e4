"""Read YAML strictly: errors name file, line, key and what is allowed."""

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

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


class KeyInvalid(ValueError):  # noqa: N818
    """A value that turns out wrong beside others; `key` says where it stands in its section."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Section(BaseModel):
    """A frozen part of a configuration; a key that it does not know is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,  # a limit that is no number would be a gate that never halts
        use_attribute_docstrings=True,
    )


Models = list[type[BaseModel]]
WORD = "literal["
"""How pydantic calls the branch of a choice that is a word."""


def explain_errors(
    error: ValidationError, path: Path, model: type[BaseModel], overlay: Path | None = None
) -> str:
    """Say what is wrong with a file, a line each: file, line, key, and what is allowed."""
    lines = []
    for detail in _list_meant(error):
        location = _locate(detail, model)
        file = overlay if overlay and has_key(overlay, location) else path
        lines.append(name_key(file, location, _say(detail, model)))
    return "\n".join(lines)


def name_key(file: Path, location: Location, words: str) -> str:
    """Give a line that begins with the file, the line and the key that the words are about."""
    key = ".".join(str(part) for part in location) or "the file"
    return f"{file}:{find_line(file, location)}: {key}: {words}"


def _list_meant(error: ValidationError) -> Iterator[ErrorDetails]:
    """Give each error once; of a choice of a section and a word, the branch that was meant."""
    found = error.errors()
    words = [item["loc"][:-1] for item in found if WORD in str(item["loc"][-1:])]
    for item in found:
        is_section = isinstance(item["input"], dict)
        if item["loc"][:-1] not in words or (WORD in str(item["loc"][-1])) != is_section:
            yield item


def _walk(location: Location, model: type[BaseModel]) -> tuple[Location, Models]:
    """Give the location without branches of a choice, which stand in no file, and its models."""
    models, plain, chosen = [model], list[int | str](), True
    for part in location:
        branch = [item for item in models if _is_branch(part, item)]
        if not chosen and (branch or WORD in str(part)):
            models, chosen = branch, True
            continue
        plain.append(part)
        if isinstance(part, str):  # a number is an entry of a list, whose fields have its model
            fields = [item.model_fields.get(part) for item in models]
            models = [found for field in fields if field for found in _models_in(field.annotation)]
            chosen = False
    return tuple(plain), models


def _is_branch(part: int | str, model: type[BaseModel]) -> bool:
    """Whether a part of a location is how pydantic calls one section of a choice."""
    return part in _kinds_of([model]) or model.__name__ in re.findall(r"\w+", str(part))


def _locate(detail: ErrorDetails, model: type[BaseModel]) -> Location:
    """Give the key at fault, which may lie deeper than the section that noticed."""
    location, _ = _walk(detail["loc"], model)
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, KeyInvalid):
        inner = [int(part) if part.isdigit() else part for part in error.key.split(".")]
        return (*location, *inner)
    return (*location, "kind") if detail["type"].startswith("union_tag_") else location


def _say(detail: ErrorDetails, model: type[BaseModel]) -> str:
    if detail["type"] == "extra_forbidden":
        _, models = _walk(detail["loc"][:-1], model)
        allowed = sorted(models[0].model_fields) if models else []
        close = difflib.get_close_matches(str(detail["loc"][-1]), allowed, 1)
        hint = f" (did you mean `{close[0]}`?)" if close else ""
        return f"unknown key{hint}; allowed: {', '.join(allowed)}"
    if detail["type"] == "union_tag_invalid":
        return f"found '{detail['ctx']['tag']}'; allowed: {detail['ctx']['expected_tags']}"
    if detail["type"] == "union_tag_not_found":
        _, models = _walk(detail["loc"], model)
        return f"Field required; allowed: {', '.join(_kinds_of(models))}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in ("missing", "value_error"):
        return message
    return f"{message}; found {detail['input']!r}"


def _kinds_of(models: Models) -> list[str]:
    """Give the kinds of sections that are one of several, in the order of the code."""
    kinds = [item.model_fields.get("kind") for item in models]
    return [str(get_args(kind.annotation)[0]) for kind in kinds if kind]


def _models_in(annotation: Any) -> Models:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inner = getattr(annotation, "__args__", ())
    return [model for part in inner for model in _models_in(part)]
