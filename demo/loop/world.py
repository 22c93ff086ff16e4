"""The configurations of the loop's world: the shipped ones, with the story's settings over them."""

import shutil
from pathlib import Path

import yaml

from demo.loop.stories import WORLD, Story
from sluice.config.loading import lay_over, list_services
from sluice.config.yaml_file import read_mapping
from sluice.home import CONFIGS

SERVICE = "employment"


def write_configs(folder: Path, story: Story) -> Path:
    """Write the configurations of a story's world; return their folder.

    Raises:
        OSError: the folder cannot be written.
    """
    others = [f"{name}.yaml" for name in list_services() if name != SERVICE]
    shutil.copytree(CONFIGS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*others))
    file = folder / f"{SERVICE}.yaml"
    values = read_mapping(file)
    for overlay in (WORLD, story.overlay):
        values = lay_over(values, dict(overlay))
    file.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return folder
