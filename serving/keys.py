"""API keys: who may ask, and which services; the gateway knows only their sha256."""

import hmac
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sluice.errors import ConfigInvalid

VARIABLE = "SLUICE_GATEWAY_KEYS"
DIGITS = set("0123456789abcdef")
ALLOWED = "allowed: the sha256 of a key in 64 hexadecimal digits, and service names behind it"


@dataclass(frozen=True)
class ApiKey:
    """The hash of one key, and the services that it opens; none named: all."""

    digest: bytes
    services: frozenset[str] = frozenset()


class Keyring:
    """The keys that a gateway was started with; without any, everybody may ask."""

    def __init__(self, keys: Sequence[ApiKey] = ()) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        """Whether a key is asked for."""
        return bool(self._keys)

    def admits(self, key: bytes, service: str = "") -> bool:
        """Whether a key opens a service, or anything where none is named.

        Every known key is compared, each in constant time: how long it takes tells nothing.
        """
        digest = sha256(key).hexdigest().encode()
        found = False
        for item in self._keys:
            same = hmac.compare_digest(item.digest, digest)
            opens = not service or not item.services or service in item.services
            found |= same and opens
        return found


def load_keys(file: str) -> Keyring:
    """Read the keys of a file, or of the environment's variable where no file is named.

    Raises:
        ConfigInvalid: the file cannot be read, or an entry is none; no entry is ever shown.
    """
    if not file:
        return Keyring(parse_keys(os.environ.get(VARIABLE, "").split(","), VARIABLE))
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"keys_file: {file} cannot be read") from error
    keys = parse_keys(lines, file)
    if not keys:
        raise ConfigInvalid(f"keys_file: {file} has no key; {ALLOWED}")
    return Keyring(keys)


def parse_keys(lines: Iterable[str], source: str) -> list[ApiKey]:
    """Read one key a line: `SHA256 [SERVICE ...]`; what follows # is a comment.

    Raises:
        ConfigInvalid: an entry is none.
    """
    keys = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words[0]) != 64 or set(words[0].lower()) - DIGITS:
            raise ConfigInvalid(f"{source}: entry {number}: found no sha256; {ALLOWED}")
        keys.append(ApiKey(words[0].lower().encode(), frozenset(words[1:])))
    return keys


def read_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Give the key that a request came with: `Authorization: Bearer KEY`, or `X-API-Key: KEY`."""
    for name, value in headers:
        if name == b"x-api-key":
            return value
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip()
    return b""
