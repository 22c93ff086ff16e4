"""Columns that become several numbers: means of the target, words, dates; with NumPy only.

Each has `encode` for many rows and `encode_one` for one row, which return the same numbers.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import ColumnKind
from sluice.errors import DataInvalid
from sluice.models.calendar import NAMES, read_moment, split_moment, split_moments

Values = Sequence[Any] | NDArray[Any]
Places = dict[str, list[int]]
"""Word to the places of its runs of letters among a column's terms."""
WORD = re.compile(r"(?u)\b\w\w+\b")
"""A word, as scikit-learn's TfidfVectorizer reads it: two letters or digits and more."""


@dataclass(frozen=True)
class Scaling:
    """Numbers filled in, minus their mean, divided by their scale; one entry for each number."""

    fill: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def apply(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scaled numbers, shape (n, numbers)."""
        filled = np.where(np.isnan(numbers), self.fill, numbers)
        return np.asarray((filled - self.mean) / self.scale)

    def apply_one(self, numbers: Sequence[float]) -> list[float]:
        """Return the scaled numbers of one row."""
        return [
            ((fill if number != number else number) - mean) / scale  # noqa: PLR0124 - NaN
            for number, fill, mean, scale in zip(
                numbers, self.fill, self.mean, self.scale, strict=True
            )
        ]


@dataclass(frozen=True)
class MeanColumn:
    """A text column whose values stand for means of the target: one number, or one for each class.

    `null` is that of a null, `unknown` that of a value that was not in training.
    """

    name: str
    means: Mapping[str, tuple[float, ...]]
    unknown: tuple[float, ...]
    null: tuple[float, ...]
    scaling: Scaling | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The raw columns that it reads."""
        return (self.name,)

    @property
    def outputs(self) -> int:
        """The number of prepared columns."""
        return len(self.unknown)

    def encode(self, values: Values) -> NDArray[np.float64]:
        """Return the numbers of a column, shape (n, outputs)."""
        means, unknown, null = self.means, self.unknown, self.null
        found = [means.get(value, unknown) if isinstance(value, str) else null for value in values]
        numbers = np.array(found, dtype=np.float64).reshape(len(found), self.outputs)
        return self.scaling.apply(numbers) if self.scaling else numbers

    def encode_one(self, value: str | None) -> Sequence[float]:
        """Return the numbers of one value."""
        found = self.null if value is None else self.means.get(value, self.unknown)
        return self.scaling.apply_one(found) if self.scaling else found

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "kind": "mean",
            "name": self.name,
            "means": {value: list(numbers) for value, numbers in self.means.items()},
            "unknown": list(self.unknown),
            "null": list(self.null),
            "scaling": _write_scaling(self.scaling),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MeanColumn":
        """Return the column that `to_dict` wrote.

        Raises:
            KeyError: a field is missing.
            ValueError: numbers do not fit each other.
        """
        means = {value: tuple(map(float, found)) for value, found in values["means"].items()}
        unknown, null = tuple(map(float, values["unknown"])), tuple(map(float, values["null"]))
        if {len(found) for found in (null, *means.values())} != {len(unknown)}:
            raise ValueError(f"feature '{values['name']}' has means of different lengths")
        scaling = _read_scaling(values["scaling"], len(unknown))
        return cls(values["name"], means, unknown, null, scaling)


@dataclass(frozen=True, eq=False)
class WordsColumn:
    """A text column as the directions of its terms: TF-IDF, then a truncated decomposition.

    `terms` has the place of each word and pair of words, `weights` their inverse document
    frequencies, `directions` has shape (terms, outputs). Without terms it is one zero. With
    `letters` the terms are runs of so many letters instead. The directions of n-grams are the
    coefficients of the linear model that reads them.
    """

    name: str
    terms: Mapping[str, int]
    weights: NDArray[np.float64]
    directions: NDArray[np.float64]
    scaling: Scaling | None = None
    letters: tuple[int, int] | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The raw columns that it reads."""
        return (self.name,)

    @property
    def outputs(self) -> int:
        """The number of prepared columns."""
        return int(self.directions.shape[1])

    def encode(self, values: Values) -> NDArray[np.float64]:
        """Return the numbers of a column, shape (n, outputs)."""
        texts = [value if isinstance(value, str) else "" for value in values]
        known: Places = {}
        found = {text: self._project(text, known) for text in dict.fromkeys(texts)}
        numbers = np.array([found[text] for text in texts]).reshape(len(texts), self.outputs)
        return self.scaling.apply(numbers) if self.scaling else numbers

    def encode_one(self, value: str | None) -> Sequence[float]:
        """Return the numbers of one value."""
        found: list[float] = self._project(value or "", {}).tolist()
        return self.scaling.apply_one(found) if self.scaling else found

    def _project(self, text: str, known: Places) -> NDArray[np.float64]:
        """Return a text's directions; sums are in the order of the terms, as in scikit-learn.

        `known` has the runs of words that were seen before, and gets those of this text.
        """
        found = self._find_terms(text.lower(), known)
        if not found:
            return np.zeros(self.outputs)
        places, counts = np.unique(np.array(found), return_counts=True)
        weights = (np.log(counts) + 1.0) * self.weights[places]
        squares = np.add.accumulate(weights * weights)  # one after the other, to the last bit
        shares = weights / math.sqrt(squares[-1])
        return np.asarray(np.einsum("t,tk->k", shares, self.directions[places]))

    def _find_terms(self, text: str, known: Places) -> list[int]:
        """Return the places of a text's words and pairs of words, or of its runs of letters."""
        if not self.letters:
            words = WORD.findall(text)
            return self._find_places((*words, *map(" ".join, pairwise(words))))
        places: list[int] = []
        for word in text.split():
            found = known.get(word)
            if found is None:
                found = known[word] = self._find_places(list_runs(word, *self.letters))
            places += found
        return places

    def _find_places(self, terms: Iterable[str]) -> list[int]:
        find = self.terms.get
        return [place for term in terms if (place := find(term, -1)) >= 0]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "kind": "words",
            "name": self.name,
            "terms": dict(self.terms),
            "weights": self.weights.tolist(),
            "directions": self.directions.tolist(),
            "scaling": _write_scaling(self.scaling),
            **({"letters": list(self.letters)} if self.letters else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "WordsColumn":
        """Return the column that `to_dict` wrote.

        Raises:
            KeyError: a field is missing.
            ValueError: numbers do not fit each other.
        """
        terms = {term: int(place) for term, place in values["terms"].items()}
        weights = np.array(values["weights"], dtype=np.float64)
        directions = np.array(values["directions"], dtype=np.float64)
        if not terms:
            directions = np.zeros((0, 1))
        places = sorted(terms.values())
        if places != list(range(len(weights))) or directions.shape[:-1] != weights.shape:
            raise ValueError(f"feature '{values['name']}' has other terms than directions")
        scaling = _read_scaling(values["scaling"], directions.shape[1])
        letters = _read_letters(values.get("letters"), values["name"])
        return cls(values["name"], terms, weights, directions, scaling, letters)


def list_runs(word: str, least: int, most: int) -> list[str]:
    """Return the runs of `least` to `most` letters of a word, which has a blank on either side.

    As scikit-learn's analyzer `char_wb`: a word that is shorter than a run stands for itself, once.
    """
    runs: list[str] = []
    padded = f" {word} "
    length = len(padded)
    for size in range(least, most + 1):
        if size >= length:
            runs.append(padded)
            break
        runs += [padded[at : at + size] for at in range(length - size + 1)]
    return runs


def _read_letters(values: Sequence[Any] | None, name: str) -> tuple[int, int] | None:
    if values is None:
        return None
    least, most = map(int, values)
    if not 1 <= least <= most <= 20:
        raise ValueError(f"feature '{name}' has runs of {least} to {most} letters")
    return least, most


@dataclass(frozen=True)
class DateColumn:
    """A column of moments as numbers of a calendar; `type` is its kind, timestamp or text.

    Ages are counted to the row's `time`, else (also where that is null) to `newest`.
    """

    name: str
    type: ColumnKind
    encoding: Literal["date", "calendar"]
    newest: float
    time: str = ""
    time_type: ColumnKind = "timestamp"
    scaling: Scaling | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The raw columns that it reads."""
        return (self.name, self.time) if self.time else (self.name,)

    @property
    def outputs(self) -> int:
        """The number of prepared columns."""
        return len(NAMES[self.encoding])

    def encode(self, values: Values, times: Values | None = None) -> NDArray[np.float64]:
        """Return the numbers of a column, shape (n, outputs).

        Raises:
            DataInvalid: a value is not of the column's kind.
        """
        seconds = _read_seconds(values, self.name, self.type)
        reference: NDArray[np.float64] | float = self.newest
        if times is not None:
            now = _read_seconds(times, self.time, self.time_type)
            reference = np.where(np.isnan(now), self.newest, now)
        numbers = split_moments(seconds, self.encoding, reference)
        return self.scaling.apply(numbers) if self.scaling else numbers

    def encode_one(self, value: Any, time: Any = None) -> Sequence[float]:
        """Return the numbers of one value."""
        now = read_moment(time)
        reference = self.newest if math.isnan(now) else now
        found = split_moment(read_moment(value), self.encoding, reference)
        return self.scaling.apply_one(found) if self.scaling else found

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        values = {**vars(self), "scaling": _write_scaling(self.scaling)}
        return {"kind": "date", **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "DateColumn":
        """Return the column that `to_dict` wrote.

        Raises:
            KeyError: a field is missing.
            ValueError: numbers do not fit each other.
        """
        own = {key: value for key, value in values.items() if key != "kind"}
        if own["encoding"] not in NAMES:
            raise ValueError(f"feature '{own['name']}' has an unknown encoding")
        scaling = _read_scaling(own["scaling"], len(NAMES[own["encoding"]]))
        return cls(**{**own, "newest": float(own["newest"]), "scaling": scaling})


def _read_seconds(values: Values, name: str, kind: ColumnKind) -> NDArray[np.float64]:
    if kind == "text":
        return np.array([read_moment(value) for value in values], dtype=np.float64)
    try:
        return count_seconds(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataInvalid(f"feature '{name}' has values other than {kind} and nulls") from error


def count_seconds(values: Values) -> NDArray[np.float64]:
    """Return seconds since 1970 (UTC), to the microsecond; a time without a zone is UTC."""
    if not (isinstance(values, np.ndarray) and values.dtype.kind == "M"):
        naive = [_drop_zone(value) for value in values]
        values = np.array(naive, dtype="datetime64[us]")
    moments = values.astype("datetime64[us]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)


def _drop_zone(moment: Any) -> Any:
    """Return a time in UTC without its zone; None for every kind of null."""
    if moment is None or type(moment).__name__ == "NaTType" or isinstance(moment, float):
        return None
    if getattr(moment, "tzinfo", None) is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)


def _write_scaling(scaling: Scaling | None) -> dict[str, list[float | None]] | None:
    if scaling is None:
        return None
    return {name: list(numbers) for name, numbers in vars(scaling).items()}


def _read_scaling(values: Mapping[str, Any] | None, numbers: int) -> Scaling | None:
    if values is None:
        return None
    fill, mean, scale = (tuple(map(float, values[key])) for key in ("fill", "mean", "scale"))
    if {len(fill), len(mean), len(scale)} != {numbers}:
        raise ValueError("a feature is scaled by other numbers than it has")
    return Scaling(fill, mean, scale)
