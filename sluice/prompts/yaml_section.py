"""YAML of prompts read into strict models; errors name the file, the line and the key."""

from pathlib import Path

from sluice.config import yaml_file
from sluice.config.yaml_file import Read
from sluice.errors import ConfigInvalid, PromptInvalid


def read_section(path: Path, model: type[Read]) -> Read:
    """Read a file of YAML into a model.

    Raises:
        PromptInvalid: the file cannot be read, has an unknown key, or a value that is not allowed.
    """
    try:
        return yaml_file.read_section(path, model)
    except ConfigInvalid as error:
        raise PromptInvalid(str(error)) from error
