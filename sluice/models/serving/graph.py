"""A fitted estimator as an ONNX graph: prepared numbers in, raw scores out, all of it double."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.errors import ServingImpossible
from sluice.models.serving.categories import Tables, read_boosting
from sluice.models.serving.trees import DOMAIN, Ensemble, Tree

OPSET, TREE_OPSET, FORMAT = 18, 5, 10
"""Versions of ONNX's operators, of those for machine learning, and of the file's format."""
LARGEST = 5_000_000
"""Most nodes of a forest, each class counted: about 200 MB of graph."""
NUMBERS, SCORES = "numbers", "scores"
"""Names of the graph's input, shape (n, columns), and of its output, shape (n, targets)."""


def build_graph(estimator: Any, columns: int, levels: tuple[int, ...]) -> bytes:
    """Give a fitted estimator as an ONNX model.

    It answers with the decision function of linear models, with the raw scores of gradient
    boosting, with the sum of the trees of a forest. `columns` counts the prepared columns,
    `levels` the codes of each text column, which come first.

    Raises:
        ServingImpossible: nobody wrote a graph for this estimator.
    """
    from sklearn import ensemble, linear_model

    if isinstance(estimator, linear_model.LogisticRegression | linear_model.Ridge):
        return _pack(*_build_linear(estimator), columns, _count_targets(estimator))
    if isinstance(estimator, ensemble.RandomForestClassifier | ensemble.RandomForestRegressor):
        return _pack(*_build_forest(estimator), columns, _count_votes(estimator))
    if isinstance(
        estimator,
        ensemble.HistGradientBoostingClassifier | ensemble.HistGradientBoostingRegressor,
    ):
        return _pack(*_build_boosting(estimator, levels), columns, _count_targets(estimator))
    raise ServingImpossible(
        f"no ONNX graph for {type(estimator).__name__}; known: linear, random_forest, "
        "hist_gradient_boosting"
    )


def _count_votes(estimator: Any) -> int:
    return len(getattr(estimator, "classes_", [0]))


def _count_targets(estimator: Any) -> int:
    classes = _count_votes(estimator)
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
    """Scikit-learn's trees read float32, so the same rounding comes first; splits stay double."""
    from onnx import TensorProto, helper

    targets = _count_votes(estimator)
    nodes_in_all = targets * sum(grown.tree_.node_count for grown in estimator.estimators_)
    if nodes_in_all > LARGEST:
        raise ServingImpossible(
            f"the forest has {nodes_in_all:,} nodes in all for {targets} classes, allowed: "
            f"{LARGEST:,}; raise model.min_leaf, or grow fewer or shallower trees"
        )
    trees = Ensemble(targets)
    for grown in estimator.estimators_:
        tree = grown.tree_
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
    """Where a split divides categories, a table says for each code which way it goes."""
    from onnx import helper

    trees, tables = read_boosting(estimator, levels)
    if not tables:
        return [trees.build_node(NUMBERS, SCORES)], {}
    nodes, constants = _look_up(tables)
    nodes.append(helper.make_node("Concat", [NUMBERS, "sides"], ["features"], axis=1))
    return [*nodes, trees.build_node("features", SCORES)], constants


def _look_up(tables: Tables) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Give the nodes from the columns' codes to `sides`, and their constants.

    All columns go through one node a step, since a node costs more than its arithmetic on a row;
    only the tables themselves are read one by one.
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


def _pack(
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
