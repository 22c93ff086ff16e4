"""Comparison of what a version recorded with what was made again: identical, or what differs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.stats.holdout import Predictions

LETTERS = 60
"""Most letters of a value in a comparison."""


@dataclass(frozen=True)
class ComparedFact:
    """One fact beside its record. `n` counts what was compared, `differing` how many differ.

    One that does not decide (`decides` is false) is shown, and may differ.
    """

    name: str
    recorded: str
    found: str
    n: int = 1
    differing: int = 0
    decides: bool = True

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return self.differing == 0

    def describe(self) -> str:
        """Return what differs, in one sentence."""
        share = f" ({self.differing:,} of {self.n:,} differ)" if self.n > 1 else ""
        return f"{self.name}: recorded {self.recorded}, now {self.found}{share}"


@dataclass(frozen=True)
class Reproduction:
    """The result: facts in the order in which they decide one another, inputs first."""

    service: str
    version: int
    facts: tuple[ComparedFact, ...]
    environment: str = ""
    """Which environment made it again, and why that one."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def first_difference(self) -> ComparedFact | None:
        """The first fact that differs among those that decide; None: it is identical."""
        return next((item for item in self.facts if item.decides and not item.is_same), None)

    @property
    def is_identical(self) -> bool:
        """Whether every fact that decides is the same."""
        return self.first_difference is None

    @property
    def outcome(self) -> str:
        """`identical` or `different`."""
        return "identical" if self.is_identical else "different"

    def describe(self) -> str:
        """Return the result in one sentence."""
        first = self.first_difference
        if first is None:
            compared = ", ".join(
                f"{item.n:,} {item.name}" for item in self.facts if item.decides and item.n > 1
            )
            return f"identical: {compared}" if compared else "identical"
        later = [item.name for item in self.facts if item.decides and not item.is_same][1:]
        rest = f"; so do {', '.join(later)}" if later else ""
        return f"the first that differs is {first.describe()}{rest}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as values that JSON can hold."""
        facts = [{**asdict(item), "is_same": item.is_same} for item in self.facts]
        return {
            "service": self.service,
            "version": self.version,
            "outcome": self.outcome,
            "result": self.describe(),
            "facts": facts,
            "environment": self.environment,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        }


def compare_value(
    name: str, recorded: object, found: object, *, decides: bool = True
) -> ComparedFact:
    """Compare one value with its record."""
    return ComparedFact(
        name, _cut(recorded), _cut(found), differing=int(recorded != found), decides=decides
    )


def compare_predictions(name: str, recorded: Predictions, found: Predictions) -> ComparedFact:
    """Compare predictions row by row: labels and scores must be equal to the last bit.

    Nulls at the same place are equal. The first row that differs is named, counted from 1.
    """
    rows = len(recorded.labels)
    if len(found.labels) != rows:
        rows_found = f"{len(found.labels):,} rows"
        return ComparedFact(name, f"{rows:,} rows", rows_found, rows, max(rows, 1))
    differs = ~_mark_equal(np.asarray(recorded.labels), np.asarray(found.labels))
    if recorded.classes != found.classes:
        return ComparedFact(
            name, _cut(f"classes {recorded.classes}"), _cut(f"{found.classes}"), rows, max(rows, 1)
        )
    if recorded.scores is not None and found.scores is not None:
        same = _mark_equal(recorded.scores, found.scores)
        differs |= ~(same.all(axis=1) if same.ndim > 1 else same)
    elif (recorded.scores is None) != (found.scores is None):
        differs[:] = True
    if not differs.any():
        return ComparedFact(name, f"{rows:,} rows", "the same", rows)
    first = int(np.flatnonzero(differs)[0])
    return ComparedFact(
        name,
        f"{_write_row(recorded, first)} in row {first + 1}",
        _write_row(found, first),
        rows,
        int(differs.sum()),
    )


def compare_rows(
    name: str, recorded: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> ComparedFact:
    """Compare rows of named values, such as the scores of each answer; the first one is named."""
    if len(recorded) != len(found):
        most = max(len(recorded), len(found))
        return ComparedFact(name, f"{len(recorded):,}", f"{len(found):,}", most, most)
    different = list(_find_different(recorded, found))
    if not different:
        return ComparedFact(name, f"{len(recorded):,}", "the same", len(recorded))
    place, key = different[0]
    old, new = recorded[place].get(key), found[place].get(key)
    label = f"{key} = {_cut(old)} in number {place + 1}"
    return ComparedFact(name, label, _cut(new), len(recorded), len({at for at, _ in different}))


def _find_different(
    recorded: Iterable[Mapping[str, Any]], found: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[int, str]]:
    for place, (old, new) in enumerate(zip(recorded, found, strict=True)):
        for key in [*old, *(key for key in new if key not in old)]:
            if key not in old or key not in new or old[key] != new[key]:
                yield place, key


def _mark_equal(recorded: NDArray[Any], found: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where two arrays of one shape are equal, nulls included."""
    if recorded.shape != found.shape:
        return np.zeros(recorded.shape, dtype=np.bool_)
    same = np.asarray(recorded == found, dtype=np.bool_)
    if recorded.dtype.kind == "f" and found.dtype.kind == "f":
        same |= np.isnan(recorded) & np.isnan(found)
    return same


def _write_row(predictions: Predictions, row: int) -> str:
    label = predictions.labels[row]
    text = repr(label.item() if hasattr(label, "item") else label)
    if predictions.scores is None:
        return text
    return f"{text} at {_cut(np.asarray(predictions.scores[row]).tolist())}"


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 3]}..."
