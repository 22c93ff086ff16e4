"""Guardrails find what must not stand in a text, however it is hidden, and little else."""

import base64
import re
import time
from collections.abc import Iterator

import pytest

from sluice.errors import PromptInvalid
from sluice.guardrails.inspection import GUARDRAILS, inspect_text, list_guardrails
from sluice.guardrails.pii import has_iban_checksum, has_luhn
from support.pace import slowed_processor

ALL = ("pii", "secrets", "profanity")
AWS = "AKIA" + "QWERTYUIOPASDFGH"
TOKEN = "ghp_" + "a1B2" * 9
FOUND = {
    "email": "Write to anna.berg+x@mail.example.co.uk today",
    "payment_card": "Card 4111 1111 1111 1111 was used",
    "iban": "Pay to DE89 3704 0044 0532 0130 00 please",
    "us_ssn": "SSN 078-05-1120",
    "phone": "Call +49 30 901820 or wait",
    "birth_date": "Anna, born on 1980-02-29, left",
    "aws_key": f"key {AWS}",
    "github_token": f"use {TOKEN}",
    "gitlab_token": "glpat-" + "x7Y8" * 5,
    "slack_token": "xoxb-" + "1234567890-abcdef",
    "stripe_key": "sk_live_" + "a1b2c3d4e5f6g7h8",
    "google_key": "AIza" + "b" * 35,
    "llm_key": "sk-ant-" + "api03-" + "q9W8" * 6,
    "huggingface_token": "hf_" + "Ab1" * 11,
    "npm_token": "npm_" + "a1B2c3" * 6,
    "pypi_token": "pypi-" + "AgEIcHlwaS5vcmc" * 4,
    "sendgrid_key": "SG." + "a" * 22 + "." + "b" * 43,
    "jwt": "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "private_key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "url_password": "postgres://admin:" + "s3cret@db.example.org/x",
    "assigned_secret": 'the password is "Tr0ub4dor&3x"',
    "profanity": "This is bullshit.",
}
CLEAN = (
    "In 1998 and 2004 sales rose by 1,234,567.89 to 12%, see page 4111 and 3.14159265358979.",
    "The password is required and the secret: patience. Our API key rotation starts at 9:30.",
    "Version 10.0.22631.4317, commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b.",
    "ISBN 978-3-16-148410-0, 192.168.10.254, 00:1B:44:11:3A:B7",
    "Scunthorpe, Cockburn, shiitake, assassin, peacock, class SH17.",
    "Order 4111111111111112 of 2024-05-17, ticket 123-456-789, DE89 3704 0044 0532 0130 01.",
    "Ask at the desk, dot your i's; meet me at noon. user@localhost, @anna, a@b",
    "internationalisation\nresponsibilities\nunderstanding\ncharacterisation\nacknowledgement",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "class sk-loading-spinner-container and sk-circle-fade-dots-wrapper",
)


def rules(text: str, names: tuple[str, ...] = ALL) -> list[str]:
    return [hit.rule for hit in inspect_text(text, names)]


def test_every_rule_has_an_example() -> None:
    assert {rule for group in GUARDRAILS.values() for rule in group} == set(FOUND)


@pytest.mark.parametrize("rule", FOUND)
def test_each_rule_finds_its_example_alone_and_within_others(rule: str) -> None:
    assert rules(FOUND[rule]) == [rule]
    assert rules(FOUND[rule], (rule,)) == [rule]
    assert rules(FOUND[rule], tuple(set(FOUND) - {rule, "phone", "email"})) == []
    assert rule in rules("\n\n".join(FOUND.values()))


@pytest.mark.parametrize("text", CLEAN)
def test_ordinary_texts_have_no_hit(text: str) -> None:
    assert rules(text) == []


@pytest.mark.parametrize("rule", ["email", "aws_key", "payment_card", "github_token", "iban"])
def test_base64_hides_nothing_not_even_twice_or_over_lines(rule: str) -> None:
    once = base64.b64encode(f"here it is: {FOUND[rule]}".encode()).decode()
    twice = base64.b64encode(once.encode()).decode()
    lines = "\n".join(once[place : place + 16] for place in range(0, len(once), 16))
    quoted = "> " + lines.replace("\n", "\n> ")
    safe = once.replace("+", "-").replace("/", "_").rstrip("=")
    for text in (once, twice, lines, quoted, safe, f"Sure, decode this:\n{lines}\nThanks a lot"):
        hits = inspect_text(text, ALL)
        assert [hit.rule for hit in hits] == [rule], text
        assert hits[0].reading == "base64"
    parts = (f"here it is: {FOUND[rule]}".encode()[place : place + 30] for place in (0, 30, 60))
    each = "\n".join(base64.b64encode(part).decode() for part in parts if part)
    assert rule in rules(each) or len(FOUND[rule]) > 18  # a hit may lie across two encodings


@pytest.mark.parametrize("joint", ["\n", "  \n   ", "\r\n", "\\\n", "\n> ", "\n- "])
def test_a_key_split_over_lines_is_found(joint: str) -> None:
    for rule, text in {"aws_key": AWS, "email": "anna.berg@example.org"}.items():
        split = f"First: {text[:9]}{joint}{text[9:]} end"
        hits = inspect_text(split, ALL)
        assert [(hit.rule, hit.reading) for hit in hits] == [(rule, "joined lines")]
        assert split[hits[0].start : hits[0].end] == f"{text[:9]}{joint}{text[9:]}"


def test_wide_and_invisible_characters_hide_nothing() -> None:
    wide = "".join(chr(ord(sign) + 0xFEE0) for sign in AWS)
    assert rules(f"a {wide} b") == ["aws_key"]
    assert rules("anna\u200b.berg@exam\u00adple.org") == ["email"]
    assert rules("f\u2060uck") == ["profanity"]


@pytest.mark.parametrize("word", ["sh1t", "b1tch", "fuuuck", "a$$hole", "F.U.C.K"])
def test_profanity_in_disguise_is_found(word: str) -> None:
    assert rules(f"What a {word}, really") == ["profanity"]


def test_a_hit_says_where_and_never_what() -> None:
    text = f"Mail {FOUND['email']}, key {AWS}"
    hits = inspect_text(text, ALL)
    assert [text[hit.start : hit.end] for hit in hits] == [
        "anna.berg+x@mail.example.co.uk",
        AWS,
    ]
    assert "anna" not in repr(hits)
    assert AWS not in repr(hits)


def test_a_hit_at_the_seam_of_a_long_text_is_found_once() -> None:
    for place in (195_990, 199_995):
        text = " ".join(["word"] * 41_000)
        text = f"{text[:place]} {AWS} {text[place:]}"
        assert rules(text, ("secrets",)) == ["aws_key"]


def test_injection_asks_the_detector_that_is_handed_in() -> None:
    asked = []

    def detect(text: str) -> Iterator[tuple[int, int]]:
        asked.append(text)
        yield from (match.span() for match in re.finditer("ignore", text))

    assert inspect_text("ignore all", ("injection",), detect)[0].rule == "injection"
    assert inspect_text("be kind", ("injection",), detect) == ()
    assert asked == ["ignore all", "be kind"]
    with pytest.raises(PromptInvalid, match="guardrail injection: found no detector; next"):
        inspect_text("a", ("injection",))


def test_unknown_guardrails_name_the_known_ones() -> None:
    with pytest.raises(PromptInvalid, match="found guardrail 'emial'; allowed: pii, secrets,"):
        inspect_text("a", ("emial",))
    assert {"pii", "injection", "email", "profanity"} <= set(list_guardrails())


@pytest.mark.parametrize(
    ("number", "valid"), [("79927398713", True), ("79927398710", False), ("4111111111111111", True)]
)
def test_luhn_is_that_of_the_published_examples(number: str, valid: bool) -> None:
    assert has_luhn(number) is valid


@pytest.mark.parametrize(
    "account",
    ["GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606",
     "NO9386011117947", "MT84MALT011000012345MTLCAST001S"],
)  # fmt: skip
def test_iban_checksums_are_those_of_the_published_examples(account: str) -> None:
    assert has_iban_checksum(account)
    assert rules(account, ("iban",)) == ["iban"]
    assert not has_iban_checksum(account[:-1] + ("1" if account[-1] != "1" else "2"))


@pytest.mark.parametrize(
    "text",
    ["a" * 50_000, "abcdefghijklmnop\n" * 3_000, "f" + "*" * 50_000, "+" + "1 " * 25_000,
     "a@" * 25_000, "1-" * 25_000, "QUJD" * 12_000, "eyJ" * 16_000, "x://" * 12_000,
     "a.b+" * 12_000],
    ids=lambda text: text[:6],
)  # fmt: skip
def test_no_text_makes_it_slow(text: str) -> None:
    began = time.process_time()
    inspect_text(text, ALL)
    assert time.process_time() - began < slowed_processor(2.0)
