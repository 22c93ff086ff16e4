"""Keys of providers, from the environment or a file; no message ever has one."""

import os
from pathlib import Path

from sluice.config.llm.providers import ProviderKey
from sluice.errors import ProviderRefused

HIDDEN = "[key]"
LONGEST = 4096


def read_key(provider: str, key: ProviderKey) -> str:
    """Return a provider's key as it is now; a file is read anew each time.

    Raises:
        ProviderRefused: there is none, or it has characters that no header can have.
    """
    place = f"the variable {key.env}" if key.env else f"the file {key.file}"
    value = os.environ.get(key.env, "") if key.env else _read_file(provider, key.file)
    value = value.strip()
    if not value:
        raise ProviderRefused(
            f"provider '{provider}' needs a key, and {place} has none; next: put it there, or "
            "choose a model of another provider"
        )
    if not value.isascii() or not value.isprintable() or len(value) > LONGEST:
        raise ProviderRefused(
            f"the key of provider '{provider}' in {place} is not one line of plain characters"
        )
    return value


def hide_key(text: str, key: str) -> str:
    """Return a text without a key."""
    return text.replace(key, HIDDEN) if key else text


def _read_file(provider: str, path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST + 2)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ProviderRefused(
            f"the key of provider '{provider}' cannot be read: {path}: {reason}"
        ) from error
