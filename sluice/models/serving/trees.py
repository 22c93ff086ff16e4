"""Decision trees as one node of an ONNX graph, in double precision throughout."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

DOMAIN = "ai.onnx.ml"
LEQ = 0
"""ONNX's number for a node that goes on to its true branch where value <= split."""


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree as arrays of shape (nodes,); `left` is negative where the node is a leaf.

    A value <= `split` goes left, a null goes left where `null_left` says so.
    """

    left: NDArray[Any]
    right: NDArray[Any]
    feature: NDArray[Any]
    split: NDArray[np.float64]
    null_left: NDArray[Any]
    value: NDArray[np.float64]


@dataclass
class Ensemble:
    """Trees whose leaves add up, each tree to one target, in the order in which they came.

    ONNX, operators for machine learning, `TreeEnsemble` version 5: the only one whose splits,
    leaves and sums are all double. The older operators answer in single precision.
    """

    targets: int
    roots: list[int] = field(default_factory=list)
    nodes: dict[str, list[Any]] = field(default_factory=dict)
    leaf_targets: list[int] = field(default_factory=list)
    leaf_weights: list[float] = field(default_factory=list)

    def add_constant(self, value: float, target: int) -> None:
        """Add a number to a target, as a tree with one leaf."""
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
        if is_leaf[0]:  # ONNX's roots are never leaves: both branches lead to the one there is
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

    def build_node(self, source: str, answer: str) -> Any:
        """Give the ensemble as an ONNX node from one value's name to another's."""
        from onnx import helper, numpy_helper

        nodes = {f"nodes_{name}": values for name, values in self.nodes.items()}
        splits = np.array(nodes.pop("nodes_splits"), dtype=np.float64)
        return helper.make_node(
            "TreeEnsemble",
            [source],
            [answer],
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
