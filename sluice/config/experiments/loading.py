"""Loading of experiments from `configs/experiments`."""

import json
from pathlib import Path

from sluice.config.experiments.experiment import ExperimentConfig
from sluice.config.yaml_file import name_key, read_section
from sluice.documents import parse_json
from sluice.errors import ConfigInvalid
from sluice.home import CONFIGS

EXPERIMENTS = "experiments"
SUFFIX = ".yaml"


def list_experiments(folder: Path = CONFIGS) -> list[str]:
    """Return the names of the experiments in a folder of configurations, sorted."""
    return sorted(path.stem for path in (folder / EXPERIMENTS).glob(f"*{SUFFIX}"))


def load_experiment(name: str, folder: Path = CONFIGS) -> ExperimentConfig:
    """Read an experiment by its name.

    Raises:
        ConfigInvalid: there is no such experiment, its file is not YAML, a key is unknown, or a
            value is not allowed.
    """
    known = list_experiments(folder)
    if name not in known:
        raise ConfigInvalid(
            f"no experiment '{name}' in {folder / EXPERIMENTS}; known: "
            f"{', '.join(known) or 'none yet'}"
        )
    path = folder / EXPERIMENTS / f"{name}{SUFFIX}"
    found = read_section(path, ExperimentConfig)
    if found.experiment != name:
        words = f"found '{found.experiment}'; allowed: the file's name, '{name}'"
        raise ConfigInvalid(name_key(path, ("experiment",), words))
    return found


def write_experiment(config: ExperimentConfig) -> str:
    """Return an experiment's configuration as JSON, with times in seconds."""
    values = config.model_dump(mode="json")
    for key in _list_times():
        if values[key] is not None:
            values[key] = f"{values[key]:f} s"
    return json.dumps(values, sort_keys=True)


def read_experiment(text: str) -> ExperimentConfig:
    """Return the configuration that `write_experiment` wrote."""
    return ExperimentConfig.model_validate(parse_json(text))


def _list_times() -> tuple[str, ...]:
    return ("window", "wait", "period", "block", "check", "history", "cuped")
