"""Loading of the providers of language models, and of how they answer callers."""

from pathlib import Path

from sluice.config.llm.files import PROVIDERS, SERVING
from sluice.config.llm.providers import ProvidersConfig
from sluice.config.llm.serving import LanguageServingConfig
from sluice.config.yaml_file import find_shared, read_section
from sluice.home import CONFIGS


def find_providers_file(folder: Path = CONFIGS) -> Path:
    """Return the file of the providers that hold in a folder of configurations."""
    return find_shared(PROVIDERS, folder)


def load_providers(folder: Path = CONFIGS) -> ProvidersConfig:
    """Read the providers and models; a folder without such a file has those of the project.

    Raises:
        ConfigInvalid: the file is not YAML, a key is unknown, a value is not allowed.
    """
    return read_section(find_providers_file(folder), ProvidersConfig)


def load_language_serving(folder: Path = CONFIGS) -> LanguageServingConfig:
    """Read how prompts and models answer callers; a folder without such a file has the project's.

    Where the project has none either, the defaults hold.

    Raises:
        ConfigInvalid: the file is not YAML, a key is unknown, a value is not allowed.
    """
    path = find_shared(SERVING, folder)
    return read_section(path, LanguageServingConfig) if path.exists() else LanguageServingConfig()
