"""Services of a test's own: made by `init` from a file, in folders of their own."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from sluice.config.loading import list_services, load_service
from sluice.config.service import ServiceConfig
from sluice.home import PROJECT, SUITES

CASES = PROJECT / "tests" / "cases"
_written: dict[str, tuple[str, str]] = {}
"""Configuration and suite that `init` wrote, by file and options: one trial a file."""


class OwnWorld:
    """Folders of configurations and suites; the functions that read them are told of both."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.configs, self.suites = root / "configs", root / "gx"
        self.configs.mkdir(parents=True)
        shutil.copytree(SUITES, self.suites)
        _tell(patch, self.configs, self.suites)

    def init(self, file: Path, target: str, **options: str) -> ServiceConfig:
        """Make a service of a file as the command line does, and return its configuration.

        A second service of the same file and options gets the files that the first one got.
        """
        choices: dict[str, Any] = {"sensitive": "none", "reason": "no people"} | options
        service = choices.get("service") or file.stem
        places = self.configs / f"{service}.yaml", self.suites / "expectations" / f"{service}.json"
        key = f"{file.name} {file_digest(file)} {target} {sorted(choices.items())}"
        if key in _written:
            for place, text in zip(places, _written[key], strict=True):
                place.write_text(text, encoding="utf-8")
        else:
            _start(file, target, choices)
            _written[key] = (places[0].read_text("utf-8"), places[1].read_text("utf-8"))
        return self.load(service)

    def load(self, service: str) -> ServiceConfig:
        """Return a service's configuration as it is now."""
        return load_service(service, "development", self.configs)

    def expect(self, service: str, words: str) -> None:
        """Change a rule of a service by the words that a person types."""
        import shlex

        from cli.data.rules import change_rules

        action, *rest = shlex.split(words)
        change_rules(service, action, rest)


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _start(file: Path, target: str, choices: dict[str, Any]) -> None:
    from cli.data.init import start_service
    from sluice.profile.draft import InitOptions

    start_service(str(file), InitOptions(target, **choices), force=True)


def _tell(patch: pytest.MonkeyPatch, configs: Path, suites: Path) -> None:
    from cli.data import init, rules
    from sluice.adapters.validation.expectations import measure_data

    for function in (list_services, load_service):
        patch.setattr(function, "__defaults__", (configs,))
    before = measure_data.__defaults__
    assert before is not None
    patch.setattr(measure_data, "__defaults__", (suites, *before[1:]))
    patch.setattr(init, "CONFIGS", configs)
    for module in (init, rules):
        patch.setattr(module, "SUITES", suites)


def read_table(config: ServiceConfig, frame: pd.DataFrame) -> pa.Table:
    """Return a frame as rows of a service's schema."""
    from sluice.data.schema import check_schema

    return check_schema(pa.Table.from_pandas(frame, preserve_index=False), config.data, "test")
