"""A fitted estimator as an ONNX graph: prepared numbers in, raw scores out, all of it double."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.errors import ServingImpossible
from sluice.models.serving.categories import read_boosting
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
    nodes: list[Any] = []
    constants: dict[str, NDArray[Any]] = {"zero": np.float64(0.0)}  # type: ignore[dict-item]
    parts = [NUMBERS]
    for feature, table in tables.items():
        nodes += _look_up(feature)
        slots = table.shape[0]
        constants |= {
            f"column_{feature}": np.array(feature, dtype=np.int64),
            f"unknown_{feature}": np.array(slots - 2, dtype=np.float64),
            f"null_{feature}": np.array(slots - 1, dtype=np.float64),
            f"table_{feature}": table,
        }
        parts.append(f"sides_{feature}")
    nodes.append(helper.make_node("Concat", parts, ["features"], axis=1))
    return [*nodes, trees.build_node("features", SCORES)], constants


def _look_up(feature: int) -> list[Any]:
    """Give the nodes from one column's codes to the sides that its splits send them to."""
    from onnx import TensorProto, helper

    def name(word: str) -> str:
        return f"{word}_{feature}"

    return [
        helper.make_node("Gather", [NUMBERS, name("column")], [name("codes")], axis=1),
        helper.make_node("IsNaN", [name("codes")], [name("is_null")]),
        helper.make_node("Where", [name("is_null"), name("null"), name("codes")], [name("filled")]),
        helper.make_node("Less", [name("filled"), "zero"], [name("is_unknown")]),
        helper.make_node(
            "Where", [name("is_unknown"), name("unknown"), name("filled")], [name("known")]
        ),
        helper.make_node("Cast", [name("known")], [name("slot")], to=TensorProto.INT64),
        helper.make_node("Gather", [name("table"), name("slot")], [name("sides")], axis=0),
    ]


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
