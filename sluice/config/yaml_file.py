"""Strict reading of YAML: errors name file, line, key and the allowed values."""

import difflib
import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from sluice.documents import DocumentInvalid, compose_yaml, read_yaml
from sluice.errors import ConfigInvalid
from sluice.home import PROJECT

Read = TypeVar("Read", bound=BaseModel)
Location = tuple[int | str, ...]
"""Keys and indices of lists, from the top of the file."""
Models = list[type[BaseModel]]
WORD = "literal["
"""Pydantic's name of a union's branch that is a literal."""


class KeyInvalid(ValueError):  # noqa: N818
    """A value that does not fit other values; `key` is its place in its section.

    A place whose names have dots in them is given as a tuple of names.
    """

    def __init__(self, key: str | tuple[str, ...], message: str) -> None:
        super().__init__(message)
        parts = key.split(".") if isinstance(key, str) else key
        self.parts = tuple(parts)
        self.key = ".".join(parts)


class Section(BaseModel):
    """A frozen section of a configuration; an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,  # with a limit that is no number, a gate would never halt
    )


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a file of keys and values; an empty file has none.

    Raises:
        ConfigInvalid: the file cannot be read, is no YAML, has a key twice, or is beyond a limit.
    """
    try:
        values = read_yaml(path)
    except OSError as error:
        raise ConfigInvalid(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from error
    except DocumentInvalid as error:
        line = f":{error.line}" if error.line else ""
        raise ConfigInvalid(f"{path}{line}: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigInvalid(f"{path}: expected keys and values, found {type(values).__name__}")
    return cast(dict[str, Any], values)


def find_shared(file: Path, folder: Path) -> Path:
    """Return a file of a folder of configurations; where it has none, the project's own."""
    own = folder / file
    return own if own.exists() else PROJECT / "configs" / file


def read_section(path: Path, model: type[Read]) -> Read:
    """Read a file into a strict model.

    Raises:
        ConfigInvalid: the file is not YAML, a key is unknown, a value is not allowed.
    """
    return validate_values(read_mapping(path), path, model)


def validate_values(
    values: dict[str, Any], path: Path, model: type[Read], overlay: Path | None = None
) -> Read:
    """Return the values of a file, and of the one laid over it, as a strict model.

    Raises:
        ConfigInvalid: a key is unknown, or a value is not allowed; names the file and the line.
    """
    try:
        # Strict JSON accepts a list for a tuple, but neither `yes` nor "100" for a number.
        return model.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise ConfigInvalid(explain_errors(error, path, model, overlay)) from error


def find_line(path: Path, location: Location) -> int:
    """Return the line of a key in a file, or of the deepest part of it that the file has."""
    return _step_down(path, location)[0]


def has_key(path: Path, location: Location) -> bool:
    """Return whether a file exists and has a key."""
    return path.exists() and _step_down(path, location)[1]


def _step_down(path: Path, location: Location) -> tuple[int, bool]:
    """Return the line of the location's deepest key in the file, and whether it is the last."""
    node = _compose(path.read_text(encoding="utf-8"))
    line = 1
    for index, part in enumerate(location):
        found = _step(node, part)
        if found is None:
            return line, False
        line, node = found
        if index == len(location) - 1:
            return line, True
    return line, False


@lru_cache(maxsize=2)
def _compose(text: str) -> yaml.Node | None:
    """Return a file's nodes, once for all of its errors."""
    return compose_yaml(text)


def _step(node: yaml.Node | None, part: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def explain_errors(
    error: ValidationError, path: Path, model: type[BaseModel], overlay: Path | None = None
) -> str:
    """Return the errors of a file, one per line: file, line, key, and what is allowed."""
    lines = []
    for location, words in list_errors(error, model):
        file = overlay if overlay and has_key(overlay, location) else path
        lines.append(name_key(file, location, words))
    return "\n".join(lines)


def list_errors(error: ValidationError, model: type[BaseModel]) -> list[tuple[Location, str]]:
    """Return each error of a document: the place of its key, what was found, what is allowed."""
    details = _list_relevant(error)
    return [(_locate(detail, model), _describe_error(detail, model)) for detail in details]


def name_key(file: Path, location: Location, words: str) -> str:
    """Return a message that begins with the file, the line and the key."""
    key = ".".join(str(part) for part in location) or "the file"
    return f"{file}:{find_line(file, location)}: {key}: {words}"


def _list_relevant(error: ValidationError) -> Iterator[ErrorDetails]:
    """Yield each error once; of a union of a section and a word, the branch that was meant."""
    found = error.errors()
    words = [item["loc"][:-1] for item in found if WORD in str(item["loc"][-1:])]
    for item in found:
        is_section = isinstance(item["input"], dict)
        if item["loc"][:-1] not in words or (WORD in str(item["loc"][-1])) != is_section:
            yield item


def _walk(location: Location, model: type[BaseModel]) -> tuple[Location, Models]:
    """Return the location without the branches of unions, which no file has, and its models."""
    models, plain, chosen, is_key = [model], list[int | str](), True, False
    for part in location:
        if is_key:  # of a mapping: it names no field
            plain.append(part)
            is_key = False
            continue
        branch = [item for item in models if _is_branch(part, item)]
        if not chosen and (branch or WORD in str(part)):
            models, chosen = branch, True
            continue
        plain.append(part)
        if isinstance(part, str):  # a number is an item of a list: its fields are the model's
            fields = [item.model_fields.get(part) for item in models]
            models = [found for field in fields if field for found in _models_in(field.annotation)]
            is_key = any(field and get_origin(field.annotation) is dict for field in fields)
            chosen = False
    return tuple(plain), models


def _is_branch(part: int | str, model: type[BaseModel]) -> bool:
    """Return whether a part of a location is pydantic's name of one section of a union."""
    return part in _kinds_of([model]) or model.__name__ in re.findall(r"\w+", str(part))


def _locate(detail: ErrorDetails, model: type[BaseModel]) -> Location:
    """Return the invalid key, which may be deeper than the section that reported it."""
    location, _ = _walk(detail["loc"], model)
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, KeyInvalid):
        inner = [int(part) if part.isdigit() else part for part in error.parts]
        return (*location, *inner)
    return (*location, "kind") if detail["type"].startswith("union_tag_") else location


def _describe_error(detail: ErrorDetails, model: type[BaseModel]) -> str:
    if detail["type"] == "extra_forbidden":
        _, models = _walk(detail["loc"][:-1], model)
        fields = models[0].model_fields if models else {}
        allowed = sorted(field.alias or name for name, field in fields.items())
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
    """Return the kinds of a union's sections, in the order of the code."""
    kinds = [item.model_fields.get("kind") for item in models]
    return [str(get_args(kind.annotation)[0]) for kind in kinds if kind]


def _models_in(annotation: Any) -> Models:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inner = getattr(annotation, "__args__", ())
    return [model for part in inner for model in _models_in(part)]
