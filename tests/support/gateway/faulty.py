"""Models with a fault in their ONNX export: the graph returns NaN, fails, or never ends."""

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sluice.adapters.registry.model_files import GRAPH_FILE, SERVING_FOLDER
from sluice.models.export.graph import SCORES
from sluice.models.export.onnx_export import SAMPLE_FILE

Fault = Literal["nan", "error", "hang"]
INNER = "inner"
FOR_EVER = 10**15


def write_faulty(source: Path, folder: Path, fault: Fault) -> Path:
    """Copy a model's files with a faulty graph, without the sample that would reveal it."""
    shutil.copytree(source, folder)
    (folder / SAMPLE_FILE).unlink()
    path = folder / SERVING_FOLDER / GRAPH_FILE
    model = onnx.load(path)
    for node in model.graph.node:
        node.output[:] = [INNER if name == SCORES else name for name in node.output]
    nodes, constants = {"nan": _return_nan, "error": _fail, "hang": _hang}[fault]()
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(value), name) for name, value in constants.items()
    )
    onnx.save(model, path)
    return folder


def _return_nan() -> tuple[list[Any], dict[str, Any]]:
    return [helper.make_node("Mul", [INNER, "nothing"], [SCORES])], {"nothing": np.nan}


def _fail() -> tuple[list[Any], dict[str, Any]]:
    shape = np.array([-1, 7, 11, 13], np.int64)
    nodes = [
        helper.make_node("Reshape", [INNER, "odd"], ["broken"]),
        helper.make_node("Reshape", ["broken", "even"], [SCORES]),
    ]
    return nodes, {"odd": shape, "even": np.array([-1, 1], np.int64)}


def _hang() -> tuple[list[Any], dict[str, Any]]:
    values: list[Any] = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (
            ("turn", TensorProto.INT64, []),
            ("go", TensorProto.BOOL, []),
            ("before", TensorProto.DOUBLE, ["rows", 1]),
            ("on", TensorProto.BOOL, []),
            ("after", TensorProto.DOUBLE, ["rows", 1]),
        )
    ]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Abs", ["before"], ["after"]),
        ],
        "body",
        values[:3],
        values[3:],
    )
    nodes = [helper.make_node("Loop", ["turns", "yes", INNER], [SCORES], body=body)]
    return nodes, {"turns": np.int64(FOR_EVER), "yes": np.bool_(True)}
