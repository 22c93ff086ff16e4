"""A fitted estimator as an ONNX graph in double precision."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.errors import ServingImpossible

NUMBERS, SCORES = "numbers", "scores"
"""Names of the graph's input, shape (n, columns), and of its output, shape (n, targets)."""
DOMAIN = "ai.onnx.ml"
OPSET, TREE_OPSET, FORMAT = 18, 5, 10
"""Versions of ONNX's operators, of those for machine learning, and of the file's format."""
LEQ = 0
"""ONNX's number for a node that continues with its true branch where value <= split."""
MOST_NODES = 5_000_000
"""Most nodes of a forest, counted for each class: about 200 MB of graph."""
TABLE_SPLIT = 0.5
"""Split of a tree node on a table's column, whose values are 0 and 1."""

Tables = dict[int, NDArray[np.float64]]
"""By text column: shape (codes + 2, splits), 0 where a code goes left, 1 where right; the last
two rows are for a value that was not in training and for a null."""
Split = tuple[int, bytes]
"""A text column and the side of each of its codes: equal splits share one table column."""


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree as arrays of shape (nodes,); `left` is negative where the node is a leaf.

    A value <= `split` goes left; a null goes left where `null_left` is true.
    """

    left: NDArray[Any]
    right: NDArray[Any]
    feature: NDArray[Any]
    split: NDArray[np.float64]
    null_left: NDArray[Any]
    value: NDArray[np.float64]


@dataclass
class Ensemble:
    """Trees whose leaves are summed, each tree for one target, in the order they were added.

    It becomes ONNX's `TreeEnsemble` version 5 (operators for machine learning): the only operator
    whose splits, leaves and sums are all double. The older ones compute in single precision.
    """

    targets: int
    roots: list[int] = field(default_factory=list)
    nodes: dict[str, list[Any]] = field(default_factory=dict)
    leaf_targets: list[int] = field(default_factory=list)
    leaf_weights: list[float] = field(default_factory=list)

    def add_constant(self, value: float, target: int) -> None:
        """Add a constant to a target, as a tree with one leaf."""
        one, leaf = np.zeros(1), np.array([-1])
        self.add_tree(Tree(leaf, leaf, one, one, one, np.array([value])), target)

    def add_tree(self, tree: Tree, target: int) -> None:
        """Add a tree to a target."""
        is_leaf = tree.left < 0
        leaf_at = np.cumsum(is_leaf) - 1 + len(self.leaf_weights)
        node_at = np.cumsum(~is_leaf) - 1 + len(self.nodes.get("splits", ()))
        self.roots.append(len(self.nodes.get("splits", ())))
        self.leaf_targets += [target] * int(is_leaf.sum())
        self.leaf_weights += tree.value[is_leaf].tolist()
        if is_leaf[0]:  # an ONNX root is never a leaf: both branches lead to the only one
            both, kinds = leaf_at[:1], np.array([1])
            self._add_nodes(tree, np.array([0]), (both, both), (kinds, kinds))
            return
        inner = np.flatnonzero(~is_leaf)
        sides = [side[inner].astype(np.int64) for side in (tree.left, tree.right)]
        places = [np.where(is_leaf[side], leaf_at[side], node_at[side]) for side in sides]
        leaves = [is_leaf[side].astype(np.int64) for side in sides]
        self._add_nodes(tree, inner, (places[0], places[1]), (leaves[0], leaves[1]))

    def _add_nodes(
        self,
        tree: Tree,
        inner: NDArray[Any],
        places: tuple[NDArray[Any], NDArray[Any]],
        leaves: tuple[NDArray[Any], NDArray[Any]],
    ) -> None:
        columns = {
            "featureids": tree.feature[inner].astype(np.int64),
            "splits": tree.split[inner].astype(np.float64),
            "truenodeids": places[0],
            "falsenodeids": places[1],
            "trueleafs": leaves[0],
            "falseleafs": leaves[1],
            "missing_value_tracks_true": tree.null_left[inner].astype(np.int64),
        }
        for name, values in columns.items():
            self.nodes.setdefault(name, []).extend(values.tolist())

    def build_node(self, source: str, result: str) -> Any:
        """Return the ensemble as an ONNX node; the arguments name its input and its output."""
        from onnx import helper, numpy_helper

        nodes = {f"nodes_{name}": values for name, values in self.nodes.items()}
        splits = np.array(nodes.pop("nodes_splits"), dtype=np.float64)
        return helper.make_node(
            "TreeEnsemble",
            [source],
            [result],
            domain=DOMAIN,
            n_targets=self.targets,
            aggregate_function=1,
            post_transform=0,
            tree_roots=self.roots,
            nodes_splits=numpy_helper.from_array(splits, "splits"),
            nodes_modes=numpy_helper.from_array(np.full(len(splits), LEQ, np.uint8), "modes"),
            leaf_targetids=self.leaf_targets,
            leaf_weights=numpy_helper.from_array(np.array(self.leaf_weights), "weights"),
            **nodes,
        )


def read_boosting(estimator: Any, levels: tuple[int, ...]) -> tuple[Ensemble, Tables]:
    """Return a fitted gradient boosting as trees on numbers, and the tables that they read.

    The trees read the prepared columns and, after them, the tables' columns. `levels` counts the
    codes of each text column.
    """
    baseline = np.atleast_1d(np.asarray(estimator._baseline_prediction).ravel())
    columns = int(estimator.n_features_in_)
    splits = _CategorySplits(estimator, levels)
    for rounds in estimator._predictors:
        for predictor in rounds:
            splits.collect(predictor)
    tables, places = splits.arrange(columns)
    trees = Ensemble(len(baseline))
    for target, value in enumerate(baseline):  # first, so that sums add up in the same order
        trees.add_constant(float(value), target)
    for rounds in estimator._predictors:
        for target, predictor in enumerate(rounds):
            trees.add_tree(_read_tree(predictor, splits, places), target)
    return trees, tables


class _CategorySplits:
    """The splits of categories of a gradient boosting, each with the side of every code."""

    def __init__(self, estimator: Any, levels: tuple[int, ...]) -> None:
        self.splits: dict[Split, None] = {}
        self.encoded = [_encode_codes(estimator, column, levels) for column in range(len(levels))]
        found = estimator._bin_mapper.make_known_categories_bitsets()
        self.known: NDArray[np.uint32] = found[0]
        self.positions: NDArray[np.uint32] = found[1]

    def find(self, predictor: Any, node: Any) -> Split:
        """Return a node's split; a code that was not in training goes the way of a null."""
        column = int(node["feature_idx"])
        lefts = predictor.raw_left_cat_bitsets[node["bitset_idx"]]
        known = self.known[int(self.positions[column])]
        null_side = 0.0 if node["missing_go_to_left"] else 1.0
        sides = [
            null_side
            if np.isnan(code) or code < 0 or not _has_bit(known, int(code))
            else (0.0 if _has_bit(lefts, int(code)) else 1.0)
            for code in self.encoded[column]
        ]
        return column, np.array(sides).tobytes()

    def collect(self, predictor: Any) -> None:
        """Collect a tree's splits of categories."""
        for node in predictor.nodes:
            if node["is_categorical"] and not node["is_leaf"]:
                self.splits.setdefault(self.find(predictor, node))

    def arrange(self, columns: int) -> tuple[Tables, dict[Split, int]]:
        """Return the tables, and the place of each split after the prepared columns."""
        tables: Tables = {}
        places: dict[Split, int] = {}
        for column in sorted({column for column, _ in self.splits}):
            own = [split for split in self.splits if split[0] == column]
            places |= {split: columns + index for index, split in enumerate(own)}
            tables[column] = np.column_stack([np.frombuffer(split[1]) for split in own])
            columns += len(own)
        return tables, places


def _encode_codes(estimator: Any, column: int, levels: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the estimator's own encoding of each code, of an unknown code and of a null."""
    codes = np.array([*range(levels[column]), -1.0, np.nan])
    rows = np.zeros((len(codes), int(estimator.n_features_in_)))
    rows[:, column] = codes
    encoded: NDArray[np.float64] = estimator._preprocess_X(rows, reset=False)[:, column]
    return encoded


def _has_bit(bitset: NDArray[np.uint32], code: int) -> bool:
    return bool(int(bitset[code // 32]) >> (code % 32) & 1)


def _read_tree(predictor: Any, splits: _CategorySplits, places: dict[Split, int]) -> Tree:
    nodes = predictor.nodes
    feature, split = nodes["feature_idx"].astype(np.int64), nodes["num_threshold"].copy()
    leaf = nodes["is_leaf"].astype(bool)
    for at in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf):
        feature[at] = places[splits.find(predictor, nodes[at])]
        split[at] = TABLE_SPLIT
    return Tree(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        feature=feature,
        split=split,
        null_left=nodes["missing_go_to_left"],
        value=nodes["value"],
    )


def build_graph(estimator: Any, columns: int, levels: tuple[int, ...]) -> bytes:
    """Return a fitted estimator as an ONNX model.

    Its output is the decision function of a linear model, the raw scores of gradient boosting, or
    the sum of the trees of a forest. `columns` counts the prepared columns, `levels` the codes of
    each text column, which come first.

    Raises:
        ServingImpossible: there is no graph for this kind of estimator, or it is too large.
    """
    from sklearn import ensemble, linear_model

    if isinstance(estimator, linear_model.LogisticRegression | linear_model.Ridge):
        return _build_model(*_build_linear(estimator), columns, _count_targets(estimator))
    if isinstance(estimator, ensemble.RandomForestClassifier | ensemble.RandomForestRegressor):
        return _build_model(*_build_forest(estimator), columns, _count_classes(estimator))
    if isinstance(
        estimator,
        ensemble.HistGradientBoostingClassifier | ensemble.HistGradientBoostingRegressor,
    ):
        return _build_model(*_build_boosting(estimator, levels), columns, _count_targets(estimator))
    raise ServingImpossible(
        f"no ONNX graph for {type(estimator).__name__}; known: linear, random_forest, "
        "hist_gradient_boosting"
    )


def _count_classes(estimator: Any) -> int:
    return len(getattr(estimator, "classes_", [0]))


def _count_targets(estimator: Any) -> int:
    classes = _count_classes(estimator)
    return classes if classes > 2 else 1


def _build_linear(estimator: Any) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    from onnx import helper

    weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    offset = np.atleast_1d(np.asarray(estimator.intercept_, dtype=np.float64))
    nodes = [
        helper.make_node("MatMul", [NUMBERS, "weights"], ["product"]),
        helper.make_node("Add", ["product", "offset"], [SCORES]),
    ]
    return nodes, {"weights": np.ascontiguousarray(weights), "offset": offset}


def _build_forest(estimator: Any) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Return a forest's nodes: they round to float32 first, as scikit-learn's trees do."""
    from onnx import TensorProto, helper

    targets = _count_classes(estimator)
    nodes_in_all = targets * sum(
        estimator_tree.tree_.node_count for estimator_tree in estimator.estimators_
    )
    if nodes_in_all > MOST_NODES:
        raise ServingImpossible(
            f"the forest has {nodes_in_all:,} nodes in all for {targets} classes, allowed: "
            f"{MOST_NODES:,}; raise model.min_leaf, or grow fewer or shallower trees"
        )
    trees = Ensemble(targets)
    for estimator_tree in estimator.estimators_:
        tree = estimator_tree.tree_
        for target in range(targets):
            trees.add_tree(
                Tree(
                    left=tree.children_left,
                    right=tree.children_right,
                    feature=tree.feature,
                    split=tree.threshold,
                    null_left=tree.missing_go_to_left,
                    value=tree.value[:, 0, target],
                ),
                target,
            )
    nodes = [
        helper.make_node("Cast", [NUMBERS], ["rounded"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["rounded"], ["features"], to=TensorProto.DOUBLE),
        trees.build_node("features", SCORES),
    ]
    return nodes, {}


def _build_boosting(
    estimator: Any, levels: tuple[int, ...]
) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Return a boosting's nodes and constants; tables hold the side of each code per split."""
    from onnx import helper

    trees, tables = read_boosting(estimator, levels)
    if not tables:
        return [trees.build_node(NUMBERS, SCORES)], {}
    nodes, constants = _build_table_lookup(tables)
    nodes.append(helper.make_node("Concat", [NUMBERS, "sides"], ["features"], axis=1))
    return [*nodes, trees.build_node("features", SCORES)], constants


def _build_table_lookup(tables: Tables) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Return the nodes from the columns' codes to `sides`, and their constants.

    One node per step handles all columns, because a node costs more than its arithmetic on a row;
    only the tables are read one by one.
    """
    from onnx import TensorProto, helper

    slots = np.array([len(table) for table in tables.values()], dtype=np.float64)
    constants: dict[str, NDArray[Any]] = {
        "zero": np.array(0.0),
        "columns": np.array(list(tables), dtype=np.int64),
        "unknowns": slots - 2,
        "nulls": slots - 1,
        "row": np.array([1], dtype=np.int64),
        "ones": np.ones(len(tables), dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", [NUMBERS, "columns"], ["codes"], axis=1),
        helper.make_node("IsNaN", ["codes"], ["is_null"]),
        helper.make_node("Where", ["is_null", "nulls", "codes"], ["filled"]),
        helper.make_node("Less", ["filled", "zero"], ["is_unknown"]),
        helper.make_node("Where", ["is_unknown", "unknowns", "filled"], ["known"]),
        helper.make_node("Cast", ["known"], ["slots"], to=TensorProto.INT64),
        helper.make_node("Split", ["slots", "ones"], [f"slot_{at}" for at in tables], axis=1),
    ]
    for at, table in tables.items():
        constants[f"table_{at}"] = table
        read = [f"table_{at}", f"slot_{at}"]
        nodes.append(helper.make_node("Gather", read, [f"sides_{at}"], axis=0))
    parts = [f"sides_{at}" for at in tables]
    nodes.append(helper.make_node("Concat", parts, ["all_sides"], axis=2))
    nodes.append(helper.make_node("Squeeze", ["all_sides", "row"], ["sides"]))
    return nodes, constants


def _build_model(
    nodes: list[Any], constants: dict[str, NDArray[Any]], columns: int, targets: int
) -> bytes:
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "estimator",
        [helper.make_tensor_value_info(NUMBERS, TensorProto.DOUBLE, [None, columns])],
        [helper.make_tensor_value_info(SCORES, TensorProto.DOUBLE, [None, targets])],
        [numpy_helper.from_array(np.asarray(item), name) for name, item in constants.items()],
    )
    model = helper.make_model(
        graph,
        producer_name="sluice",
        ir_version=FORMAT,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, TREE_OPSET)],
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())
