"""The tone of a text by the VADER lexicon (Hutto and Gilbert 2014): -1 hostile, 1 friendly."""

from functools import lru_cache
from typing import Any


def measure_tone(text: str) -> float:
    """Return the compound score of a text, from -1 to 1; 0 for a text without a known word."""
    return float(_load_lexicon().polarity_scores(text)["compound"])


@lru_cache(maxsize=1)
def _load_lexicon() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
