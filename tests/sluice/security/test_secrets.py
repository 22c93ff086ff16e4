"""Secrets in texts: planted ones are found by their detector, placeholders are not."""

import pytest

from sluice.config.security.gate import DETECTORS
from sluice.security.secrets import find_secrets, open_detectors

# In parts, so that this file holds none.
PLANTED = {
    "AWSKeyDetector": "AKIA" + "QYLPMN5HFI3Z7ABC",
    "GitHubTokenDetector": "ghp_" + "wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx",
    "PrivateKeyDetector": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "BasicAuthDetector": "postgresql://ada:" + "h7Gk2pQ9@db.example.com/shop",
    "SlackDetector": "xoxb-" + "34532454-e039d02840a0b9379c",
    "StripeDetector": "sk_live_" + "ReTllpYQYfIZu2Jnf2lAPFjD",
    "OpenAIDetector": "sk-Xi8tcNiHV9awbCcvilTeT3BlbkFJ" + "3UDnpdEwNNm6wVBpYM0o",
    "JwtTokenDetector": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJzdWIiOiIxMjMifQ.x",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found_with_its_place(kind: str) -> None:
    text = f"first: line\nvalue: {PLANTED[kind]}\n"
    findings, allowed = find_secrets("configs/shop.yaml", text, DETECTORS)
    found = next(item for item in findings if item.detector == kind)
    assert (found.file, found.line, allowed) == ("configs/shop.yaml", 2, 0)
    assert PLANTED[kind] not in repr(findings)


def test_every_named_detector_exists() -> None:
    assert len(open_detectors(DETECTORS)) == len(DETECTORS)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ada:${PASSWORD}@host/db",
        "postgresql://ada:{password}@host/db",
        "postgresql://ada:$PASSWORD@host/db",
        "postgresql://ada:<password>@host/db",
        "postgresql://ada:Change-Me@host/db",
        "nothing of the kind",
    ],
)
def test_a_placeholder_is_no_secret(text: str) -> None:
    assert find_secrets("a.md", text, DETECTORS, ("change-me",)) == ((), 0)


def test_a_comment_allows_one_line_and_is_counted() -> None:
    key = PLANTED["AWSKeyDetector"]
    text = f"a = '{key}'  # pragma: allowlist secret\nb = '{key[:-1]}D'\n"
    findings, allowed = find_secrets("a.py", text, DETECTORS)
    assert ([item.line for item in findings], allowed) == ([2], 1)


def test_the_id_follows_from_file_and_secret_alone() -> None:
    key = PLANTED["AWSKeyDetector"]
    ids = [
        find_secrets(name, text, DETECTORS)[0][0].id
        for name, text in (("a", key), ("a", f"\n\n{key}"), ("b", key))
    ]
    assert ids[0] == ids[1] != ids[2]
