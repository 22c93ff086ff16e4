"""The groups of people that sensitive columns name, and which are large enough to judge."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.stats.holdout import name_values

if TYPE_CHECKING:
    from pandas import DataFrame

POOL = "(pooled)"
"""The value under which groups too small to judge alone stand together."""


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one group: `inside` marks them, shape (n,); `members` are the groups in a pool."""

    name: str
    pair: bool
    inside: NDArray[np.bool_]
    members: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Rows of the group."""
        return int(self.inside.sum())


def form_groups(
    frame: "DataFrame", columns: Sequence[str], pairs: bool, minimum: int
) -> tuple[Group, ...]:
    """Form the groups of each column and, with `pairs`, of each pair of columns.

    Within a column, or a pair, groups of fewer than `minimum` rows are pooled into one; the pool
    may still be smaller than that. Nulls form the group `(missing)`.
    """
    named = {column: name_values(frame, column) for column in columns}
    found = []
    for column, values in named.items():
        labels = np.array([f"{column}={value}" for value in values], dtype=object)
        found += _pool(labels, f"{column}={POOL}", False, minimum)
    for first, second in combinations(columns, 2) if pairs else ():
        couples = zip(named[first], named[second], strict=True)
        labels = np.array([f"{first}={a}, {second}={b}" for a, b in couples], dtype=object)
        found += _pool(labels, f"{first} and {second}={POOL}", True, minimum)
    return tuple(found)


def _pool(labels: NDArray[Any], pool: str, pair: bool, minimum: int) -> list[Group]:
    names, places, counts = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    groups = [
        Group(str(names[index]), pair, places == index)
        for index in order
        if counts[index] >= minimum
    ]
    small = [index for index in order if counts[index] < minimum]
    if len(small) == 1:
        groups.append(Group(str(names[small[0]]), pair, places == small[0]))
    elif small:
        members = tuple(f"{names[index]} ({counts[index]:,})" for index in small)
        groups.append(Group(pool, pair, np.isin(places, small), members))
    return groups
