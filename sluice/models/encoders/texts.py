"""Words as numbers: the module's and the class's names are part of saved models."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.validation import validate_data

TERMS = 1000
"""Most words and pairs of words of a column that count; each has `NUMBERS` numbers in the model."""
NUMBERS = 20
"""Most numbers that a text becomes."""
COMMON = 5
"""Fewest training rows in which a word must stand."""
RUNS = 20_000
"""Most runs of letters of a column, each a column of its own."""
LETTERS = (2, 5)
"""Letters of a run, which may begin or end with the blank beside a word."""


class TextEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Converts each column of texts to a few numbers.

    TF-IDF of words and pairs of words, then a truncated singular value decomposition (latent
    semantic analysis, Deerwester and others 1990). A null, an empty text and a text without a known
    word become zeros. A column in which no word is common becomes one column of zeros.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: Any = None) -> "TextEncoder":
        """Learn the words of each column and their directions."""
        validate_data(self, X, skip_check_array=True)
        self.words_, self.directions_ = [], []
        for name in X.columns:
            words, directions = self._learn(fill_texts(X[name]))
            self.words_.append(words)
            self.directions_.append(directions)
        return self

    def _learn(self, texts: list[str]) -> tuple[Any, Any]:
        words = _count_terms(TERMS)
        weights = _fit_terms(words, texts)
        if weights is None:
            return None, None
        numbers = min(NUMBERS, weights.shape[1] - 1)
        if numbers < 1:
            return None, None
        return words, TruncatedSVD(numbers, random_state=self.seed).fit(weights)

    def transform(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Return an array of shape (n, numbers of all columns)."""
        validate_data(self, X, skip_check_array=True, reset=False)
        blocks = []
        for name, words, directions in zip(X.columns, self.words_, self.directions_, strict=True):
            if words is None:
                blocks.append(np.zeros((len(X), 1)))
                continue
            blocks.append(directions.transform(words.transform(fill_texts(X[name]))))
        return np.concatenate(blocks, axis=1)

    def count_numbers(self) -> list[int]:
        """Return how many numbers each column becomes."""
        return [1 if item is None else len(item.components_) for item in self.directions_]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the numbers, such as `title_0`."""
        pairs = zip(self.feature_names_in_, self.count_numbers(), strict=True)
        named = [f"{name}_{at}" for name, numbers in pairs for at in range(numbers)]
        return np.array(named, dtype=object)


class NgramEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Converts each column of texts to weights of its runs of letters.

    TF-IDF with 1 + log(count), of length 1. Every run is a column, so that a linear model has a
    coefficient for it. A null, an empty text and a text without a known run become zeros. Runs also
    know words that are misspelled, inflected, or written with digits for some letters. Words beside
    them made a model better on texts like those that it learned from, and worse on others.
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> "NgramEncoder":
        """Learn the runs of each column; None for one in which no run is common."""
        validate_data(self, X, skip_check_array=True)
        self.runs_ = []
        for name in X.columns:
            runs = _count_terms(RUNS, LETTERS)
            is_fitted = _fit_terms(runs, fill_texts(X[name])) is not None
            self.runs_.append(runs if is_fitted else None)
        return self

    def transform(self, X: pd.DataFrame) -> Any:
        """Return a sparse array of shape (n, runs of all columns)."""
        validate_data(self, X, skip_check_array=True, reset=False)
        pairs = zip(X.columns, self.runs_, strict=True)
        blocks = [runs.transform(fill_texts(X[name])) for name, runs in pairs if runs is not None]
        return hstack(blocks, format="csr") if blocks else csr_array((len(X), 0))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns, such as `text_3`."""
        pairs = zip(self.feature_names_in_, self.runs_, strict=True)
        named = [
            f"{name}_{at}"
            for name, runs in pairs
            if runs is not None
            for at in range(len(runs.vocabulary_))
        ]
        return np.array(named, dtype=object)


def _count_terms(most: int, letters: tuple[int, int] | None = None) -> Any:
    """Return an unfitted TF-IDF of words and pairs of words, or of runs of letters."""
    return TfidfVectorizer(
        analyzer="char_wb" if letters else "word",
        ngram_range=letters or (1, 2),
        min_df=COMMON,
        max_features=most,
        sublinear_tf=True,
    )


def _fit_terms(terms: Any, texts: list[str]) -> Any:
    """Fit a TF-IDF and return the weights of the texts; None where no term is common enough.

    Places become plain integers: a model file has an entry of its own for each one of NumPy.
    """
    try:
        weights = terms.fit_transform(texts)
    except ValueError:
        return None
    terms.vocabulary_ = {term: int(place) for term, place in terms.vocabulary_.items()}
    return weights


def fill_texts(values: "pd.Series[Any]") -> list[str]:
    """Return a column's texts; a null becomes the empty text."""
    return [value if isinstance(value, str) else "" for value in values.to_numpy(dtype=object)]
