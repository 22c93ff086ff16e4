"""Reading a service's YAML, with errors that name file, line, key and what is allowed."""

import difflib
import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sluice.config.section import KeyInvalid
from sluice.config.service import ServiceConfig
from sluice.config.yaml_file import Location, find_line, read_mapping
from sluice.errors import ConfigInvalid, ServiceUnknown
from sluice.home import CONFIGS

OVERLAYS = ("development", "production")
KINDS = ("linear", "random_forest", "hist_gradient_boosting")


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
        text = json.dumps(_lay_over(values, over), default=str)
        config = ServiceConfig.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ConfigInvalid(_explain(error, path, overlay)) from error
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


def _lay_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _lay_over(merged[key], value) if both else value
    return merged


def _explain(error: ValidationError, path: Path, overlay: Path) -> str:
    lines = []
    for detail in error.errors():
        location = _locate(detail)
        found = find_line(path, _plain(location))
        file = path
        if overlay.exists() and (line := find_line(overlay, _plain(location))) and line[1]:
            found, file = line, overlay
        key = ".".join(str(part) for part in _plain(location)) or "the file"
        lines.append(f"{file}:{found[0]}: {key}: {_say(detail)}")
    return "\n".join(lines)


def _plain(location: Location) -> Location:
    """Drop the discriminator's tag, which stands in no file."""
    return tuple(part for part in location if part not in KINDS)


def _locate(detail: ErrorDetails) -> Location:
    """Give the key at fault, which may lie deeper than the section that noticed."""
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, KeyInvalid):
        inner = [int(part) if part.isdigit() else part for part in error.key.split(".")]
        return (*detail["loc"], *inner)
    return (*detail["loc"], "kind") if detail["type"].startswith("union_tag_") else detail["loc"]


def _say(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        allowed = _allowed_keys(_plain(detail["loc"])[:-1], _tag(detail["loc"]))
        close = difflib.get_close_matches(str(detail["loc"][-1]), allowed, 1)
        hint = f" (did you mean `{close[0]}`?)" if close else ""
        return f"unknown key{hint}; allowed: {', '.join(allowed)}"
    if detail["type"] == "union_tag_invalid":
        return f"found '{detail['ctx']['tag']}'; allowed: {detail['ctx']['expected_tags']}"
    if detail["type"] == "union_tag_not_found":
        return f"Field required; allowed: {', '.join(KINDS)}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in ("missing", "value_error"):
        return message
    return f"{message}; found {detail['input']!r}"


def _tag(location: Location) -> str:
    return next((str(part) for part in location if part not in _plain(location)), "")


def _allowed_keys(location: Location, tag: str) -> list[str]:
    model: type[BaseModel] = ServiceConfig
    for part in location:
        field = model.model_fields.get(str(part))
        options = _models_in(field.annotation) if field else []
        tagged = [
            option for option in options if tag and tag in str(option.model_fields.get("kind"))
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
