"""The catalogue of scorers: a scorer of your own is one function and one entry here."""

from typing import Any

from sluice.prompts.scorers.grounding import check_grounding, score_grounding
from sluice.prompts.scorers.safety import (
    check_refusal,
    check_safety,
    score_refusal,
    score_safety,
)
from sluice.prompts.scorers.scoring import Scorer, describe_value
from sluice.prompts.scorers.similarity import check_similarity, score_similarity
from sluice.prompts.scorers.structure import (
    check_format,
    check_length,
    check_schema,
    check_tool_calls,
    score_format,
    score_length,
    score_schema,
    score_tool_calls,
)
from sluice.prompts.scorers.words import (
    check_contains,
    check_exact,
    check_labels,
    check_regex,
    score_contains,
    score_exact,
    score_label,
    score_regex,
)

FORMAT_VALID, SAFETY, MATCHES_REFERENCE = "format_valid", "safety", "matches_reference"


def _check_judge(expected: Any) -> None:
    if expected is not None:
        raise ValueError(f"found {describe_value(expected)}; allowed: nothing; a judge scores it")


SCORERS: dict[str, Scorer] = {
    "format_check": Scorer(
        score_format, check_format, FORMAT_VALID, has_default=True,
        help="bullet points, words of each, lines",
    ),
    "label": Scorer(
        score_label, check_labels, FORMAT_VALID, has_default=True,
        help="one of a list of labels, and nothing beside it",
    ),
    "length": Scorer(
        score_length, check_length, FORMAT_VALID, has_default=True,
        help="bounds on words and characters",
    ),
    "regex": Scorer(
        score_regex, check_regex, FORMAT_VALID, has_default=True,
        help="a regular expression is found, or is not",
    ),
    "json_schema": Scorer(
        score_schema, check_schema, FORMAT_VALID, has_default=True,
        help="JSON that fits a schema",
    ),
    "tool_calls": Scorer(
        score_tool_calls, check_tool_calls, FORMAT_VALID, has_default=True,
        help="the expected tools are called, with arguments that fit a schema",
    ),
    "exact": Scorer(
        score_exact, check_exact, MATCHES_REFERENCE, needs_reference=True,
        help="the answer is the reference",
    ),
    "contains": Scorer(
        score_contains, check_contains, MATCHES_REFERENCE,
        help="texts that the answer must have, or must not have",
    ),
    "similarity": Scorer(
        score_similarity, check_similarity, MATCHES_REFERENCE, is_binary=False,
        needs_reference=True, help="how alike answer and reference are",
    ),
    "grounding": Scorer(
        score_grounding, check_grounding, "", is_binary=False,
        help="share of the answer's numbers and names that stand in the source",
    ),
    "llm_judge": Scorer(
        None, _check_judge, "", is_binary=False, help="a judge of prompts/judges scores the answer",
    ),
    "safety": Scorer(
        score_safety, check_safety, SAFETY, has_default=True,
        help="guardrails: personal data, secrets, profanity, injection",
    ),
    "refusal": Scorer(
        score_refusal, check_refusal, SAFETY, has_default=True,
        help="the answer refuses, or does not",
    ),
}  # fmt: skip
"""Type of a criterion to its scorer."""
CHECK_LIMITS = {FORMAT_VALID: 0.95, SAFETY: 0.99}
"""Limits of a verdict's checks that a prompt's `limits.yaml` does not state; above passes."""
