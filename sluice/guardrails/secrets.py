"""Secrets in a text: keys and tokens by the forms that their issuers give them."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from math import log2

Spans = Iterator[tuple[int, int]]

FORMS = {
    "aws_key": r"(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])",
    "github_token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255})\b",
    "gitlab_token": r"\bglpat-[\w-]{20,}",
    "slack_token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "stripe_key": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    "google_key": r"\bAIza[\w-]{35}(?![\w-])",
    "llm_key": r"(?<!\w)sk-(?=[\w-]{0,64}\d)(?:ant-|proj-|svcacct-|or-v1-)?[A-Za-z0-9][\w-]{18,}",
    "huggingface_token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "npm_token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "pypi_token": r"\bpypi-[\w-]{50,}",
    "sendgrid_key": r"\bSG\.[\w-]{16,32}\.[\w-]{16,64}",
    "jwt": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
    "private_key": r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    "url_password": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,64}:[^\s/@]{3,128}@[\w.-]+",
}
"""Each rule's pattern."""
ASSIGNED = re.compile(
    r"\b(?:api[_ -]?key|access[_ -]?key|secret(?:[_ -]?key)?|auth[_ -]?token|access[_ -]?token"
    r"|client[_ -]?secret|password|passwd|pwd)\b[\"']?\s{0,3}(?:=|:|\bis\b)\s{0,3}"
    r"[\"'`]?(?P<value>[^\s\"'`,;]{8,200})",
    re.IGNORECASE,
)
LEAST_BITS = 2.8
"""Entropy of a character, in bits, from which a value is no word: `password` has 2.75."""


def _find_form(pattern: "re.Pattern[str]", text: str) -> Spans:
    yield from (match.span() for match in pattern.finditer(text))


def find_assigned(text: str) -> Spans:
    """Yield values that a text calls a password, a key or a token, and that look like one."""
    for match in ASSIGNED.finditer(text):
        value = match["value"]
        kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", r"\d", r"[^\w]"))
        if kinds >= 2 and re.search(r"\d", value) and measure_entropy(value) >= LEAST_BITS:
            yield match.start("value"), match.end("value")


def measure_entropy(text: str) -> float:
    """Return the entropy of a text's characters, in bits a character."""
    counts = Counter(text)
    return -sum(n / len(text) * log2(n / len(text)) for n in counts.values())


SECRETS: dict[str, Callable[[str], Spans]] = {
    **{name: partial(_find_form, re.compile(form)) for name, form in FORMS.items()},
    "assigned_secret": find_assigned,
}
"""Rule to function: from a text to the first character of each hit and the one behind its last."""
