"""API keys: who may ask for predictions or control rollouts; only their sha256 is kept."""

import hmac
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sluice.errors import ConfigInvalid

VARIABLE = "SLUICE_GATEWAY_KEYS"
HEX_DIGITS = set("0123456789abcdef")
CONTROL = "+control"
ALLOWED = (
    "allowed: the sha256 of a key in 64 hexadecimal digits, then +control where it controls "
    "rollouts, then service names"
)
NO_KEY = "no API key was given; next: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
UNKNOWN_KEY = "this API key is not known here; next: check it, it may be mistyped or replaced"


@dataclass(frozen=True)
class ApiKey:
    """The hash of one key, and the services that it opens; without names, all."""

    digest: bytes
    services: frozenset[str] = frozenset()
    controls: bool = False
    """Whether it controls rollouts; then it opens no predictions."""

    def opens(self, service: str) -> bool:
        """Whether the key opens a service, or any where none is named."""
        return not service or not self.services or service in self.services


class Keyring:
    """The keys of a process; without a key for predictions, everyone may ask."""

    def __init__(self, keys: Sequence[ApiKey] = ()) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        """Whether callers need a key for predictions."""
        return not all(item.controls for item in self._keys)

    @property
    def has_control(self) -> bool:
        """Whether any key controls rollouts."""
        return any(item.controls for item in self._keys)

    def knows(self, key: bytes) -> bool:
        """Whether it is one of the keys, whatever it opens."""
        return bool(self._find(key))

    def admits(self, key: bytes, service: str = "") -> bool:
        """Whether a key opens the predictions of a service, or of any where none is named."""
        return any(not item.controls and item.opens(service) for item in self._find(key))

    def list_services(self, key: bytes) -> frozenset[str] | None:
        """Return the services whose predictions a key opens; None: all, or no key is needed."""
        opened = [item.services for item in self._find(key) if not item.controls]
        if not self or not all(opened):
            return None
        return frozenset().union(*opened)

    def controls(self, key: bytes, service: str) -> bool:
        """Whether a key controls a service's rollouts."""
        return any(item.controls and item.opens(service) for item in self._find(key))

    def explain_refusal(self, key: bytes, service: str = "") -> str:
        """Say why a key does not open predictions: none was given, it is unknown, or another's."""
        found = self._find(key)
        if not key:
            return NO_KEY
        if not found:
            return UNKNOWN_KEY
        if all(item.controls for item in found):
            return "this API key controls rollouts and opens no predictions"
        return f"this API key does not open {service[:100] or 'this'}, but other services"

    def _find(self, key: bytes) -> list[ApiKey]:
        """Return the entries of a key.

        It is compared with every known key, each in constant time: the duration reveals nothing.
        """
        digest = sha256(key).hexdigest().encode()
        return [item for item in self._keys if hmac.compare_digest(item.digest, digest)]


def load_keys(file: str) -> Keyring:
    """Read the keys of a file, or of `SLUICE_GATEWAY_KEYS` where no file is named.

    Raises:
        ConfigInvalid: the file cannot be read, or an entry is invalid; no entry is shown.
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
    """Parse one key a line: `SHA256 [+control] [SERVICE ...]`; # begins a comment.

    Raises:
        ConfigInvalid: an entry is invalid.
    """
    keys = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words[0]) != 64 or set(words[0].lower()) - HEX_DIGITS:
            raise ConfigInvalid(f"{source}: entry {number}: found no sha256; {ALLOWED}")
        services = frozenset(words[1:]) - {CONTROL}
        if any(word.startswith("+") for word in services):
            raise ConfigInvalid(f"{source}: entry {number}: found an unknown right; {ALLOWED}")
        keys.append(ApiKey(words[0].lower().encode(), services, CONTROL in words[1:]))
    return keys


def read_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a request's key, of `Authorization: Bearer KEY` or `X-API-Key: KEY`."""
    for name, value in headers:
        if name == b"x-api-key":
            return value
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip()
    return b""
