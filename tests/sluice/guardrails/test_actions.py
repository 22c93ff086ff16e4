"""What follows a hit: held back, masked, or only counted."""

import pytest

from sluice.errors import PromptInvalid
from sluice.guardrails.actions import GuardrailRules, is_blocking, mask_hits

TEXT = "Mail ada@example.com, key AKIAIOSFODNN7EXAMPLE."


def test_each_rule_has_its_action() -> None:
    hits = GuardrailRules({"pii": "mask", "secrets": "flag"}).judge(TEXT)
    assert [(item.hit.rule, item.action) for item in hits] == [
        ("email", "mask"),
        ("aws_key", "flag"),
    ]
    assert mask_hits(TEXT, hits) == "Mail [email], key AKIAIOSFODNN7EXAMPLE."
    assert not is_blocking(hits)


def test_a_blocking_hit_blocks_and_is_masked_where_it_is_kept() -> None:
    hits = GuardrailRules({"aws_key": "block"}).judge(TEXT)
    assert is_blocking(hits)
    assert mask_hits(TEXT, hits) == "Mail ada@example.com, key [aws_key]."


def test_hits_that_overlap_are_masked_once() -> None:
    # pragma: allowlist nextline secret
    text = "See https://ada:pass-w0rd@example.com now."
    hits = GuardrailRules({"secrets": "mask", "pii": "mask"}).judge(text)
    assert "pass-w0rd" not in mask_hits(text, hits)


def test_without_rules_nothing_is_looked_for() -> None:
    assert not GuardrailRules({})
    assert GuardrailRules({}).judge(TEXT) == ()


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(PromptInvalid, match="found guardrail 'pie'"):
        GuardrailRules({"pie": "mask"}).judge(TEXT)
