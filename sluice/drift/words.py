"""Texts as numbers: their length, and the share of their words that a vocabulary lacks."""

import re
from collections import Counter
from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

WORD = re.compile(r"\w+")
COMMON = 5
"""Fewest reference rows in which a word of the vocabulary stands: none names a single person."""
MOST_WORDS = 20_000
"""Most words of a vocabulary."""


def build_vocabulary(cells: pa.ChunkedArray) -> tuple[str, ...]:
    """Return the words that stand in at least five of the texts, most frequent 20,000, sorted."""
    rows: Counter[str] = Counter()
    for text in cells.to_pylist():
        if text is not None:
            rows.update(set(split_words(text)))
    common = [word for word, count in rows.items() if count >= COMMON]
    return tuple(sorted(sorted(common, key=lambda word: (-rows[word], word))[:MOST_WORDS]))


def split_words(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return WORD.findall(text.lower())


def measure_texts(
    cells: pa.ChunkedArray, lengths: bool, vocabulary: Collection[str]
) -> NDArray[np.float64]:
    """Return a number of each text, shape (n,); NaN for a null.

    It is the length in characters, or the share of its words that the vocabulary lacks: 0 to 1,
    0 for a text without words.
    """
    if pa.types.is_null(cells.type):
        return np.full(len(cells), np.nan)
    if lengths:
        counted = pc.utf8_length(cells).cast(pa.float64())
        return np.asarray(counted.to_numpy(), dtype=np.float64)
    known = vocabulary if isinstance(vocabulary, set | frozenset) else frozenset(vocabulary)
    shares = [_find_unknown(text, known) for text in cells.to_pylist()]
    return np.array(shares, dtype=np.float64)


def _find_unknown(text: str | None, known: Collection[str]) -> float:
    if text is None:
        return float("nan")
    words = split_words(text)
    return sum(word not in known for word in words) / len(words) if words else 0.0
