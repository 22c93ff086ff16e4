"""Reading a service's YAML, with errors that name file, line, key and what is allowed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sluice.config.explanation import explain_errors
from sluice.config.service import ServiceConfig
from sluice.config.yaml_file import read_mapping
from sluice.errors import ConfigInvalid, ServiceUnknown
from sluice.home import CONFIGS

OVERLAYS = ("development", "production")


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


def lay_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Give a file's values with an overlay's in their places, section by section."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = lay_over(merged[key], value) if both else value
    return merged
