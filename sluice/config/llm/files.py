"""The files of language models in a folder of configurations."""

from collections.abc import Iterator
from pathlib import Path

from sluice.config.yaml_file import find_shared
from sluice.home import CONFIGS

PROVIDERS = Path("llm") / "providers.yaml"
"""Providers and models."""
SERVING = Path("llm") / "serving.yaml"
"""How prompts and models answer callers."""


def list_files(folder: Path = CONFIGS) -> Iterator[Path]:
    """Yield the files that hold in a folder of configurations; it may lack one."""
    for name in (PROVIDERS, SERVING):
        file = find_shared(name, folder)
        if file.exists():
            yield file
