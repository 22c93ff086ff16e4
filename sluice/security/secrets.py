"""Secrets in a text, by the named detectors of detect-secrets.

Its settings are global to a process, and its verification asks the services whose secrets it found;
so only its detectors and its rules on comments are used, one by one. The text of a secret is never
kept: a finding has its place and an id.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

from sluice.security.evidence import SecretFinding

PREFIX = "SECRET-"


@lru_cache(maxsize=4)
def open_detectors(names: tuple[str, ...]) -> tuple[Any, ...]:
    """Return detect-secrets' detectors by their names.

    Raises:
        LookupError: the library has no detector of a name.
    """
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    known = {item.__name__: item for item in get_mapping_from_secret_type_to_class().values()}
    return tuple(known[name]() for name in names)


def find_secrets(
    path: str, text: str, names: tuple[str, ...], placeholders: Collection[str] = ()
) -> tuple[tuple[SecretFinding, ...], int]:
    """Return the secrets in a file's text, and how many more a comment in their line allows.

    The comment is detect-secrets' own: `pragma: allowlist secret`. `placeholders` are texts that
    stand for a secret, in lower case.

    Raises:
        LookupError: the library has no detector of a name.
    """
    likely = [item for item in open_detectors(names) if _may_match(item, text)]
    if not likely:
        return (), 0
    findings: dict[str, SecretFinding] = {}
    allowed = 0
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        for detector in likely:
            for secret in detector.analyze_string(line):
                if secret.lower() in placeholders or _is_template(secret):
                    continue
                if _is_allowed(path, lines, number):
                    allowed += 1
                    continue
                kind = type(detector).__name__
                digest = sha256(f"{kind}\0{path}\0{secret}".encode("utf-8", "surrogatepass"))
                found = SecretFinding(f"{PREFIX}{digest.hexdigest()[:12]}", kind, path, number)
                findings.setdefault(found.id, found)
    return tuple(findings.values()), allowed


def _may_match(detector: Any, text: str) -> bool:
    """Return whether a detector can find anything: it searches the text as a whole, in C."""
    return any(_span_lines(pattern).search(text) for pattern in detector.denylist)


@lru_cache(maxsize=256)
def _span_lines(pattern: "re.Pattern[str]") -> "re.Pattern[str]":
    return re.compile(pattern.pattern, pattern.flags | re.MULTILINE)


def _is_template(secret: str) -> bool:
    """Return whether a text only stands for a secret: `${NAME}`, `{name}`, `<name>`, `$NAME`."""
    from detect_secrets.filters import heuristic

    return bool(
        heuristic.is_templated_secret(secret) or heuristic.is_prefixed_with_dollar_sign(secret)
    )


def _is_allowed(path: str, lines: Sequence[str], number: int) -> bool:
    from detect_secrets.filters.allowlist import is_line_allowlisted
    from detect_secrets.util.code_snippet import get_code_snippet

    line = lines[number - 1]
    return bool(is_line_allowlisted(path, line, get_code_snippet(list(lines), number, 1)))
