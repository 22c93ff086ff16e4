"""Similarity of an answer to its reference, and TF-IDF where there is no embedding model."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sluice.prompts.scorers.scoring import (
    CriterionScore,
    JudgedAnswer,
    ScoringParts,
    TextSimilarity,
    describe_value,
)

SOURCE = "source"
"""Compare with what the case gives, instead of with its reference."""


class TfidfSimilarity:
    """Cosine of TF-IDF vectors of letters: 1 for the same text, 0 for one without common letters.

    It needs no model and sees wording only: a paraphrase scores far below a copy. A limit that was
    set for an embedding model does not fit it.
    """

    def __init__(self, corpus: Sequence[str], reason: str = "") -> None:
        """Count runs of 3 to 5 letters; those of few texts of the corpus say more.

        `reason` says why it is used, which every score repeats.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, strip_accents="unicode"
        )
        texts = [text for text in corpus if text.strip()] or ["text"]
        self._vectorizer.fit(texts)
        digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
        self.identity = f"TF-IDF of {len(texts):,} texts, {digest[:12]}"
        self._words = f"by {self.identity}{f' ({reason})' if reason else ''}"

    def compare(self, first: str, second: str) -> TextSimilarity:
        """Return how alike two texts are, from 0 to 1."""
        return TextSimilarity(self._compute(first, second), self._words)

    def _compute(self, first: str, second: str) -> float:
        if not first.strip() or not second.strip():
            return 0.0
        if first == second:  # also where the corpus has none of its letters
            return 1.0
        vectors = self._vectorizer.transform([first, second])
        return float(min(max((vectors[0] @ vectors[1].T).toarray()[0, 0], 0.0), 1.0))


def check_similarity(expected: Any) -> None:
    """Check what a `similarity` expects: nothing (the case's own `expected`), a text, or `source`.

    Raises:
        ValueError: it is none of these.
    """
    if expected is not None and not (isinstance(expected, str) and expected.strip()):
        words = "nothing for the case's own `expected`, a text, or `source`"
        raise ValueError(f"found {describe_value(expected)}; allowed: {words}")


def score_similarity(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
    """Return how alike an answer and its reference are, from 0 to 1."""
    if parts.similarity is None:
        return CriterionScore(None, "no similarity was handed in")
    reference = answer.source if expected == SOURCE else (expected or answer.reference)
    if not reference:
        return CriterionScore(None, "the case has no `expected`")
    found = parts.similarity.compare(answer.text, reference)
    return CriterionScore(found.value, found.words)
