"""Reading a service's YAML, with errors that name file, line, key and what is allowed."""

import difflib
import hashlib
import json
import os
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sluice.config.section import KeyInvalid
from sluice.config.service import ServiceConfig
from sluice.errors import ConfigInvalid, ServiceUnknown
from sluice.home import CONFIGS

OVERLAYS = ("development", "production")
Location = tuple[int | str, ...]


def list_services(folder: Path = CONFIGS) -> list[str]:
    """Name the services that the folder configures, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem not in OVERLAYS)


def load_service(service: str, environment: str, folder: Path = CONFIGS) -> ServiceConfig:
    """Read a service's configuration under an environment's overlay.

    The overlay (`development.yaml`, `production.yaml`) is laid over the service's own file.

    Raises:
        ServiceUnknown: no file carries the name.
        ConfigInvalid: a file is not YAML, a key is unknown, a value is not allowed.
    """
    path = folder / f"{service}.yaml"
    if service not in list_services(folder):
        known = ", ".join(list_services(folder)) or "none yet"
        raise ServiceUnknown(f"no service '{service}' in {folder}; known: {known}")
    if environment not in OVERLAYS:
        raise ConfigInvalid(
            f"environment '{environment}' is unknown; allowed: {', '.join(OVERLAYS)}"
        )
    values = read_mapping(path)
    overlay = folder / f"{environment}.yaml"
    over = read_mapping(overlay) if overlay.exists() else {}
    try:
        # Strict JSON takes a list for a tuple, but neither `yes` nor "100" for a number.
        text = json.dumps(lay_over(values, over), default=str)
        config = ServiceConfig.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ConfigInvalid(explain_errors(error, path, ServiceConfig, overlay)) from error
    except ValueError as error:
        raise ConfigInvalid(f"{path}: an alias contains itself") from error
    if config.service != service:
        raise ConfigInvalid(f"{path}: service is '{config.service}', the file says '{service}'")
    return config


def dump_service(config: ServiceConfig) -> str:
    """Write the resolved configuration as YAML, defaults included."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def hash_service(config: ServiceConfig) -> str:
    """Give the hexadecimal sha256 of everything that the configuration decides."""
    return hashlib.sha256(dump_service(config).encode()).hexdigest()


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values; empty where the file is.

    Raises:
        ConfigInvalid: it cannot be read, is not YAML, or gives a key twice.
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


def explain_errors(
    error: ValidationError, path: Path, model: type[BaseModel], overlay: Path | None = None
) -> str:
    """Say what is wrong with a file, a line each: file, line, key, and what is allowed."""
    lines = []
    for detail in error.errors():
        location = _locate(detail)
        file = path
        if overlay and overlay.exists() and _step_down(overlay, location)[1]:
            file = overlay
        key = ".".join(str(part) for part in _plain(location)) or "the file"
        lines.append(f"{file}:{find_line(file, location)}: {key}: {_say(detail, model)}")
    return "\n".join(lines)


def find_line(path: Path, location: Location) -> int:
    """Give the line of a key in a YAML file; of the deepest part that the file has, else."""
    return _step_down(path, location)[0]


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


def lay_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Give a file's values with an overlay's in their places, section by section."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = lay_over(merged[key], value) if both else value
    return merged


def _plain(location: Location) -> Location:
    """Drop the discriminator's tag, which stands in no file."""
    tag = _tag(location)
    return (location[0], *location[2:]) if tag else location


def _locate(detail: ErrorDetails) -> Location:
    """Give the key at fault, which may lie deeper than the section that noticed."""
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, KeyInvalid):
        inner = [int(part) if part.isdigit() else part for part in error.key.split(".")]
        return (*detail["loc"], *inner)
    return (*detail["loc"], "kind") if detail["type"].startswith("union_tag_") else detail["loc"]


def _say(detail: ErrorDetails, outer: type[BaseModel]) -> str:
    if detail["type"] == "extra_forbidden":
        allowed = _allowed_keys(outer, _plain(detail["loc"])[:-1], _tag(detail["loc"]))
        close = difflib.get_close_matches(str(detail["loc"][-1]), allowed, 1)
        hint = f" (did you mean `{close[0]}`?)" if close else ""
        return f"unknown key{hint}; allowed: {', '.join(allowed)}"
    if detail["type"] == "union_tag_invalid":
        return f"found '{detail['ctx']['tag']}'; allowed: {detail['ctx']['expected_tags']}"
    if detail["type"] == "union_tag_not_found":
        return f"Field required; allowed: {', '.join(_tags_of(detail['loc'][0]))}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in ("missing", "value_error"):
        return message
    return f"{message}; found {detail['input']!r}"


def _tag(location: Location) -> str:
    """Give the kind that follows a section which is one of several; empty where none does."""
    found = str(location[1]) if len(location) > 1 else ""
    return found if found in _tags_of(location[0]) else ""


def _tags_of(section: int | str) -> list[str]:
    """Give the kinds of a section that is one of several, in the order of the code."""
    field = ServiceConfig.model_fields.get(str(section))
    kinds = [item.model_fields.get("kind") for item in _models_in(field and field.annotation)]
    return [str(get_args(kind.annotation)[0]) for kind in kinds if kind]


def _allowed_keys(model: type[BaseModel], location: Location, tag: str) -> list[str]:
    for part in location:
        if isinstance(part, int):  # an entry of a list, whose fields have its model
            continue
        field = model.model_fields.get(part)
        options = _models_in(field.annotation) if field else []
        tagged = [
            option
            for option in options
            if tag and f"'{tag}'" in str(option.model_fields.get("kind"))
        ]
        if not options:
            return []
        model = (tagged or options)[0]
    return sorted(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inner = getattr(annotation, "__args__", ())
    return [model for part in inner for model in _models_in(part)]


def _step_down(path: Path, location: Location) -> tuple[int, bool]:
    """Give the line of the location's deepest key in the file, and whether it has all of it."""
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line, parts = 1, _plain(location)
    for index, part in enumerate(parts):
        found = _step(node, part)
        if found is None:
            return line, False
        line, node = found
        if index == len(parts) - 1:
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
