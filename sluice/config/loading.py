"""Loading of the configuration of a service, of a rollout policy and of the gateway."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sluice.config.policy import Policy
from sluice.config.service import ServiceConfig
from sluice.config.serving import GatewayConfig
from sluice.config.yaml_file import explain_errors, name_key, read_mapping
from sluice.errors import ConfigInvalid, ServiceUnknown
from sluice.home import CONFIGS

OVERLAYS = ("development", "production")
POLICIES = "policies"
GATEWAY_FOLDER = CONFIGS / "gateway"
SUFFIX = ".yaml"


def list_services(folder: Path = CONFIGS) -> list[str]:
    """Return the names of the services in a folder of configurations, sorted."""
    return sorted(path.stem for path in folder.glob(f"*{SUFFIX}") if path.stem not in OVERLAYS)


def load_service(service: str, environment: str, folder: Path = CONFIGS) -> ServiceConfig:
    """Read a service's configuration with an environment's overlay.

    Values of the overlay (`development.yaml`, `production.yaml`) replace the service's own.

    Raises:
        ServiceUnknown: no file has the name.
        ConfigInvalid: a file is not YAML, a key is unknown, a value is not allowed.
    """
    path = folder / f"{service}{SUFFIX}"
    if service not in list_services(folder):
        known = ", ".join(list_services(folder)) or "none yet"
        raise ServiceUnknown(f"no service '{service}' in {folder}; known: {known}")
    _check_environment(environment)
    values = read_mapping(path)
    overlay = folder / f"{environment}{SUFFIX}"
    over = read_mapping(overlay) if overlay.exists() else {}
    try:
        # Strict JSON accepts a list for a tuple, but neither `yes` nor "100" for a number.
        text = json.dumps(lay_over(values, over), default=str)
        config = ServiceConfig.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ConfigInvalid(explain_errors(error, path, ServiceConfig, overlay)) from error
    if config.service != service:
        raise ConfigInvalid(
            f"{path}: service is '{config.service}', the file's name is '{service}'"
        )
    return config


def dump_service(config: ServiceConfig) -> str:
    """Return the resolved configuration as YAML, defaults included."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def hash_service(config: ServiceConfig) -> str:
    """Return the hexadecimal sha256 of the resolved configuration."""
    return hashlib.sha256(dump_service(config).encode()).hexdigest()


def lay_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return a file's values, replaced by an overlay's values, section by section."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = lay_over(merged[key], value) if both else value
    return merged


def list_policies(folder: Path = CONFIGS) -> list[str]:
    """Return the names of the policies in a folder of configurations, sorted."""
    return sorted(path.stem for path in (folder / POLICIES).glob(f"*{SUFFIX}"))


def find_policy(service: ServiceConfig, folder: Path = CONFIGS) -> Policy:
    """Read the policy that a service names in `rollout.policy`.

    Raises:
        ConfigInvalid: there is no such policy, or it is not valid.
    """
    policy = service.rollout.policy
    if not policy.endswith(SUFFIX) and policy not in list_policies(folder):
        known = ", ".join(list_policies(folder)) or "none yet"
        words = f"found '{policy}'; allowed: {known}, or the path of a {SUFFIX} file"
        raise ConfigInvalid(
            name_key(folder / f"{service.service}{SUFFIX}", ("rollout", "policy"), words)
        )
    return load_policy(policy, folder)


def load_policy(policy: str, folder: Path = CONFIGS) -> Policy:
    """Read a policy by its name in `configs/policies`, or by the path of its file.

    Raises:
        ConfigInvalid: there is no such policy, its file is not YAML, a key is unknown, a value is
            not allowed, or a stage could never conclude.
    """
    path = Path(policy) if policy.endswith(SUFFIX) else folder / POLICIES / f"{policy}{SUFFIX}"
    if not policy.endswith(SUFFIX) and policy not in list_policies(folder):
        known = ", ".join(list_policies(folder)) or "none yet"
        raise ConfigInvalid(
            f"no policy '{policy}' in {folder / POLICIES}; known: {known}, or the path of a "
            f"{SUFFIX} file"
        )
    values = read_mapping(path)
    try:
        text = json.dumps(values, default=str)
        found = Policy.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ConfigInvalid(explain_errors(error, path, Policy)) from error
    if found.policy != path.stem:
        words = f"found '{found.policy}'; allowed: the file's name, '{path.stem}'"
        raise ConfigInvalid(name_key(path, ("policy",), words))
    from sluice.rollout.evidence import find_hopeless

    hopeless = [name_key(path, location, words) for location, words in find_hopeless(found)]
    if hopeless:
        raise ConfigInvalid("\n".join(hopeless))
    return found


def load_gateway(environment: str, folder: Path = GATEWAY_FOLDER) -> GatewayConfig:
    """Read the gateway's settings; a setting that no file has keeps its default.

    Raises:
        ConfigInvalid: a file is not YAML, a key is unknown, a value is not allowed.
    """
    _check_environment(environment)
    path, overlay = folder / f"gateway{SUFFIX}", folder / f"{environment}{SUFFIX}"
    values = [read_mapping(file) if file.exists() else {} for file in (path, overlay)]
    text = json.dumps(lay_over(*values), default=str)
    try:
        return GatewayConfig.model_validate_json(text, strict=True)
    except ValidationError as error:
        file = path if path.exists() else overlay
        raise ConfigInvalid(explain_errors(error, file, GatewayConfig, overlay)) from error


def _check_environment(environment: str) -> None:
    if environment not in OVERLAYS:
        raise ConfigInvalid(
            f"environment '{environment}' is unknown; allowed: {', '.join(OVERLAYS)}"
        )
