"""What is wrong with a YAML file, in lines that name file, line, key and what is allowed."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sluice.config.section import KeyInvalid
from sluice.config.yaml_file import Location, find_line, has_key

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
