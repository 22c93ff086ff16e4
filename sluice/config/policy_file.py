"""Reading a rollout's policy, with errors that name file, line, key and what is allowed."""

import difflib
import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sluice.config.policy import Policy
from sluice.config.section import KeyInvalid
from sluice.config.yaml_file import Location, find_line, read_mapping
from sluice.errors import ConfigInvalid
from sluice.home import CONFIGS
from sluice.rollout.conclusion import find_hopeless

FOLDER = "policies"
SUFFIX = ".yaml"
SECTION, WORD = "Business", "literal["
"""How the two ways to write `business` are called in what pydantic reports."""


def list_policies(folder: Path = CONFIGS) -> list[str]:
    """Name the policies in a folder of configurations, sorted."""
    return sorted(path.stem for path in (folder / FOLDER).glob(f"*{SUFFIX}"))


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
        raise ConfigInvalid("\n".join(_explain(error, path))) from error
    except ValueError as error:
        raise ConfigInvalid(f"{path}: an alias contains itself") from error
    if found.policy != path.stem:
        line = find_line(path, ("policy",))[0]
        raise ConfigInvalid(
            f"{path}:{line}: policy: found '{found.policy}'; allowed: the file's name, "
            f"'{path.stem}'"
        )
    hopeless = [_place(path, location, words) for location, words in find_hopeless(found)]
    if hopeless:
        raise ConfigInvalid("\n".join(hopeless))
    return found


def hash_policy(policy: Policy) -> str:
    """Give the hexadecimal sha256 of everything that a policy decides, defaults included."""
    values = policy.model_dump(mode="json", exclude={"description"})
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _place(path: Path, location: Location, words: str) -> str:
    key = ".".join(str(part) for part in location) or "the file"
    return f"{path}:{find_line(path, location)[0]}: {key}: {words}"


def _explain(error: ValidationError, path: Path) -> list[str]:
    """Give one line for each thing that is wrong; of a choice, the branch that was meant."""
    found = error.errors()
    written = [item["input"] for item in found if WORD in _branch(item)]
    other = WORD if written and isinstance(written[0], dict) else SECTION
    meant = [item for item in found if other not in _branch(item)]
    return [_place(path, _locate(item), _say(item)) for item in meant]


def _branch(detail: ErrorDetails) -> str:
    """Give the part of a location that stands in no file; empty where all does."""
    parts = [str(part) for part in detail["loc"]]
    return next((part for part in parts if SECTION in part or WORD in part), "")


def _locate(detail: ErrorDetails) -> Location:
    """Give the key at fault, which may lie deeper than the section that noticed."""
    location = tuple(part for part in detail["loc"] if part != _branch(detail))
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, KeyInvalid):
        inner = [int(part) if part.isdigit() else part for part in error.key.split(".")]
        return (*location, *inner)
    return location


def _say(detail: ErrorDetails) -> str:
    location = _locate(detail)
    if detail["type"] == "extra_forbidden":
        allowed = _allowed_keys(location[:-1])
        close = difflib.get_close_matches(str(location[-1]), allowed, 1)
        hint = f" (did you mean `{close[0]}`?)" if close else ""
        return f"unknown key{hint}; allowed: {', '.join(allowed)}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in ("missing", "value_error"):
        return message
    return f"{message}; found {detail['input']!r}"


def _allowed_keys(location: Location) -> list[str]:
    model: type[BaseModel] = Policy
    for part in location:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = next(iter(_models_in(field.annotation)), model)
    return sorted(model.model_fields)


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inner = getattr(annotation, "__args__", ())
    return [model for part in inner for model in _models_in(part)]
