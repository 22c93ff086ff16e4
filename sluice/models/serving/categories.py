"""Gradient boosting's trees, with every split of categories as a table of sides."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.models.serving.trees import Ensemble, Tree

Tables = dict[int, NDArray[np.float64]]
"""By text column: shape (codes + 2, splits), 0 where a code goes left, 1 where right; the last
two rows are for a value that training never saw and for a null."""
MIDDLE = 0.5


def read_boosting(estimator: Any, levels: tuple[int, ...]) -> tuple[Ensemble, Tables]:
    """Give a fitted gradient boosting as trees on numbers, and the tables that feed them.

    The trees read the prepared columns and, behind them, the tables' columns. `levels` counts the
    codes of each text column.
    """
    baseline = np.atleast_1d(np.asarray(estimator._baseline_prediction).ravel())
    columns = int(estimator.n_features_in_)
    sides = _Sides(estimator, levels)
    for rounds in estimator._predictors:
        for predictor in rounds:
            sides.learn(predictor)
    tables, places = sides.arrange(columns)
    trees = Ensemble(len(baseline))
    for target, value in enumerate(baseline):  # first, so that sums add up in the same order
        trees.add_constant(float(value), target)
    for rounds in estimator._predictors:
        for target, predictor in enumerate(rounds):
            trees.add_tree(_read_tree(predictor, sides, places), target)
    return trees, tables


Split = tuple[int, bytes]
"""A text column and the side of each of its codes: splits that agree share one table column."""


class _Sides:
    """Which way each split of categories sends each code."""

    def __init__(self, estimator: Any, levels: tuple[int, ...]) -> None:
        self.splits: dict[Split, None] = {}
        self.encoded = [_encode_codes(estimator, column, levels) for column in range(len(levels))]
        found = estimator._bin_mapper.make_known_categories_bitsets()
        self.known: NDArray[np.uint32] = found[0]
        self.positions: NDArray[np.uint32] = found[1]

    def find(self, predictor: Any, node: Any) -> Split:
        """Give the split that a node makes; a code that training never saw goes as a null."""
        column = int(node["feature_idx"])
        lefts = predictor.raw_left_cat_bitsets[node["bitset_idx"]]
        known = self.known[int(self.positions[column])]
        null_side = 0.0 if node["missing_go_to_left"] else 1.0
        sides = [
            null_side
            if np.isnan(code) or code < 0 or not _holds(known, int(code))
            else (0.0 if _holds(lefts, int(code)) else 1.0)
            for code in self.encoded[column]
        ]
        return column, np.array(sides).tobytes()

    def learn(self, predictor: Any) -> None:
        """Take note of a tree's splits of categories."""
        for node in predictor.nodes:
            if node["is_categorical"] and not node["is_leaf"]:
                self.splits.setdefault(self.find(predictor, node))

    def arrange(self, columns: int) -> tuple[Tables, dict[Split, int]]:
        """Give the tables, and the place of each split behind the prepared columns."""
        tables: Tables = {}
        places: dict[Split, int] = {}
        for column in sorted({column for column, _ in self.splits}):
            own = [split for split in self.splits if split[0] == column]
            places |= {split: columns + index for index, split in enumerate(own)}
            tables[column] = np.column_stack([np.frombuffer(split[1]) for split in own])
            columns += len(own)
        return tables, places


def _encode_codes(estimator: Any, column: int, levels: tuple[int, ...]) -> NDArray[np.float64]:
    """Ask the estimator's own encoder what it makes of each code, of an unknown, of a null."""
    codes = np.array([*range(levels[column]), -1.0, np.nan])
    rows = np.zeros((len(codes), int(estimator.n_features_in_)))
    rows[:, column] = codes
    encoded: NDArray[np.float64] = estimator._preprocess_X(rows, reset=False)[:, column]
    return encoded


def _holds(bitset: NDArray[np.uint32], code: int) -> bool:
    return bool(int(bitset[code // 32]) >> (code % 32) & 1)


def _read_tree(predictor: Any, sides: _Sides, places: dict[Split, int]) -> Tree:
    nodes = predictor.nodes
    feature, split = nodes["feature_idx"].astype(np.int64), nodes["num_threshold"].copy()
    leaf = nodes["is_leaf"].astype(bool)
    for at in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf):
        feature[at] = places[sides.find(predictor, nodes[at])]
        split[at] = MIDDLE
    return Tree(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        feature=feature,
        split=split,
        null_left=nodes["missing_go_to_left"],
        value=nodes["value"],
    )
