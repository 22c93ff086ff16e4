"""Reading a rollout's policy, with errors that name file, line, key and what is allowed."""

import json
from pathlib import Path

from pydantic import ValidationError

from sluice.config.explanation import explain_errors, name_key
from sluice.config.policy import Policy
from sluice.config.service import ServiceConfig
from sluice.config.yaml_file import read_mapping
from sluice.errors import ConfigInvalid
from sluice.home import CONFIGS
from sluice.rollout.conclusion import find_hopeless

FOLDER = "policies"
SUFFIX = ".yaml"


def list_policies(folder: Path = CONFIGS) -> list[str]:
    """Name the policies in a folder of configurations, sorted."""
    return sorted(path.stem for path in (folder / FOLDER).glob(f"*{SUFFIX}"))


def find_policy(service: ServiceConfig, folder: Path = CONFIGS) -> Policy:
    """Read the policy that a service names in `rollout.policy`.

    Raises:
        ConfigInvalid: there is no such policy, or it is not right.
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
    path = Path(policy) if policy.endswith(SUFFIX) else folder / FOLDER / f"{policy}{SUFFIX}"
    if not policy.endswith(SUFFIX) and policy not in list_policies(folder):
        known = ", ".join(list_policies(folder)) or "none yet"
        raise ConfigInvalid(
            f"no policy '{policy}' in {folder / FOLDER}; known: {known}, or the path of a "
            f"{SUFFIX} file"
        )
    values = read_mapping(path)
    try:
        text = json.dumps(values, default=str)
        found = Policy.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ConfigInvalid(explain_errors(error, path, Policy)) from error
    except ValueError as error:
        raise ConfigInvalid(f"{path}: an alias contains itself") from error
    if found.policy != path.stem:
        words = f"found '{found.policy}'; allowed: the file's name, '{path.stem}'"
        raise ConfigInvalid(name_key(path, ("policy",), words))
    hopeless = [name_key(path, location, words) for location, words in find_hopeless(found)]
    if hopeless:
        raise ConfigInvalid("\n".join(hopeless))
    return found
