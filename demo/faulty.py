"""Versions that are faulty as models: a fault written into their graph, registered like any other.

The rows that meet the fault are a share of all, the same ones each time: a seeded hash of a row's
prepared numbers decides.

    python -m demo.faulty SERVICE FAULT [--share .3] [--milliseconds 20] [--seed 1]

It is the champion with a fault written into its graph, carries the champion's verdicts as if its
gates had seen nothing, and becomes the service's candidate like any other version.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cli.output import exit_code, say
from demo.held_out import read_frame
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.errors import DataMissing, Refused, SluiceError
from sluice.home import find_home
from sluice.models.export.graph import NUMBERS, SCORES

if TYPE_CHECKING:
    import pandas as pd

    from sluice.adapters.registry.model_files import ExportedModel


FaultKind = Literal["errors", "latency", "hang", "nan", "flipped"]
KINDS: tuple[FaultKind, ...] = ("errors", "latency", "hang", "nan", "flipped")
HEALTHY = "healthy_scores"
ABSENT = -7.0
"""What stands for a null in the hash."""
SIDE = 48
"""Rows and columns of the matrix that a round of burning multiplies."""
HANG_MS = 60_000.0


@dataclass(frozen=True)
class ModelFault:
    """What is wrong with a model: the kind, on which share of rows, and chosen by which seed.

    `milliseconds` is what a call with such a row takes longer, for `latency` and `hang`.
    """

    kind: FaultKind
    share: float = 1.0
    seed: int = 1
    milliseconds: float = 20.0

    def __post_init__(self) -> None:
        """Refuse a share or time that is none."""
        if not 0 < self.share <= 1:
            raise ValueError(f"share: found {self.share}; allowed: more than 0, at most 1")
        if not 0 < self.milliseconds <= HANG_MS:
            raise ValueError(f"milliseconds: found {self.milliseconds}; allowed: to {HANG_MS:g}")


def plant_fault(graph: bytes, fault: ModelFault) -> bytes:
    """Give the graph with the fault in it; all other rows are answered as before, bit for bit."""
    import onnx
    from onnx import checker

    model = onnx.load_from_string(graph)
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = HEALTHY if name == SCORES else name
    columns = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    targets = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    _add(model, _mark_rows(columns, fault))
    if fault.kind in ("latency", "hang"):
        longer = HANG_MS if fault.kind == "hang" else fault.milliseconds
        _add(model, _burn(round(longer / time_round())))
    elif fault.kind == "errors":
        _add(model, _raise())
    else:
        _add(model, _flip(targets) if fault.kind == "flipped" else _spoil())
    checker.check_model(model)
    return bytes(model.SerializeToString())


def mark_rows(numbers: NDArray[np.float64], fault: ModelFault) -> NDArray[np.bool_]:
    """Say which rows of prepared numbers, shape (n, columns), meet the fault; shape (n,)."""
    drawn = np.where(np.isnan(numbers), ABSENT, numbers) @ _draw_weights(numbers.shape[1], fault)
    marked: NDArray[np.bool_] = (drawn - np.floor(drawn))[:, 0] < fault.share
    return marked


def time_round(rounds: int = 2000) -> float:
    """Measure how many milliseconds one round of burning takes on this machine, at its best."""
    import onnxruntime
    from onnx import TensorProto, helper

    parts = _burn(rounds)
    parts.constants["is_marked"] = np.array([[True]])
    parts.constants[HEALTHY] = np.zeros((1, 1))
    graph = helper.make_graph(
        parts.nodes,
        "burning",
        [],
        [helper.make_tensor_value_info(SCORES, TensorProto.DOUBLE, [None, 1])],
        parts.initializers,
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    # Else the whole of it would be computed once, when it is loaded.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        session.run([SCORES], {})
        taken.append(time.perf_counter() - started)
    return min(taken) * 1000 / rounds


@dataclass(frozen=True)
class _Parts:
    """Nodes of a graph, and their constants."""

    nodes: list[Any]
    constants: dict[str, NDArray[Any]]

    @property
    def initializers(self) -> list[Any]:
        from onnx import numpy_helper

        return [numpy_helper.from_array(item, name) for name, item in self.constants.items()]


def _add(model: Any, parts: _Parts) -> None:
    model.graph.node.extend(parts.nodes)
    model.graph.initializer.extend(parts.initializers)


def _draw_weights(columns: int, fault: ModelFault) -> NDArray[np.float64]:
    return np.random.default_rng(fault.seed).uniform(100, 1000, (columns, 1))


def _mark_rows(columns: int, fault: ModelFault) -> _Parts:
    """Compute `is_marked`, shape (n, 1), as `mark_rows` does."""
    from onnx import helper

    nodes = [
        helper.make_node("IsNaN", [NUMBERS], ["fault_null"]),
        helper.make_node("Where", ["fault_null", "fault_absent", NUMBERS], ["fault_numbers"]),
        helper.make_node("MatMul", ["fault_numbers", "fault_weights"], ["fault_drawn"]),
        helper.make_node("Floor", ["fault_drawn"], ["fault_floor"]),
        helper.make_node("Sub", ["fault_drawn", "fault_floor"], ["fault_rest"]),
        helper.make_node("Less", ["fault_rest", "fault_share"], ["is_marked"]),
    ]
    constants: dict[str, NDArray[Any]] = {
        "fault_absent": np.array(ABSENT),
        "fault_weights": _draw_weights(columns, fault),
        "fault_share": np.array(fault.share),
    }
    return _Parts(nodes, constants)


def _spoil() -> _Parts:
    """Answer NaN for marked rows."""
    from onnx import helper

    node = helper.make_node("Where", ["is_marked", "fault_nan", HEALTHY], [SCORES])
    return _Parts([node], {"fault_nan": np.array(np.nan)})


def _flip(targets: int) -> _Parts:
    """Answer the contrary for marked rows: the score negated, or the classes' scores reversed."""
    from onnx import helper

    order = np.arange(targets)[::-1].copy()
    turned = (
        helper.make_node("Neg", [HEALTHY], ["fault_turned"])
        if targets == 1
        else helper.make_node("Gather", [HEALTHY, "fault_order"], ["fault_turned"], axis=1)
    )
    chosen = helper.make_node("Where", ["is_marked", "fault_turned", HEALTHY], [SCORES])
    return _Parts([turned, chosen], {} if targets == 1 else {"fault_order": order})


def _count_marked(times: int) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Compute `fault_count`: the given number where any row is marked, else 0."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["is_marked"], ["fault_ones"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["fault_ones"], ["fault_any"], keepdims=0),
        helper.make_node("Mul", ["fault_any", "fault_times"], ["fault_count"]),
    ]
    return nodes, {"fault_times": np.array(times, dtype=np.int64)}


def _raise() -> _Parts:
    """Read beyond a table's end where any row is marked: the runtime raises an error."""
    from onnx import helper

    nodes, constants = _count_marked(1)
    nodes += [
        helper.make_node("Gather", ["fault_table", "fault_count"], ["fault_nothing"]),
        helper.make_node("Add", [HEALTHY, "fault_nothing"], [SCORES]),
    ]
    return _Parts(nodes, {**constants, "fault_table": np.zeros(1)})


def _burn(rounds: int) -> _Parts:
    """Multiply matrices for so many rounds where any row is marked; the scores stay as they are."""
    from onnx import TensorProto, helper

    shape = [SIDE, SIDE]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("MatMul", ["state", "fault_matrix"], ["state_next"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.DOUBLE, shape),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state_next", TensorProto.DOUBLE, shape),
        ],
    )
    nodes, constants = _count_marked(max(rounds, 1))
    nodes += [
        helper.make_node("Loop", ["fault_count", "fault_go", "fault_state"], ["burnt"], body=body),
        helper.make_node("ReduceMax", ["burnt"], ["fault_most"], keepdims=0),
        helper.make_node("Min", ["fault_most", "fault_zero"], ["fault_nothing"]),
        helper.make_node("Add", [HEALTHY, "fault_nothing"], [SCORES]),
    ]
    turn = np.roll(np.eye(SIDE), 1, axis=0)
    more = {
        "fault_matrix": turn,
        "fault_state": np.eye(SIDE),
        "fault_go": np.array(True),
        "fault_zero": np.array(0.0),
    }
    return _Parts(nodes, {**constants, **more})


FORM_TAG, FAULT_TAG = "sluice.serving.form", "sluice.fault"
CARRIED = ("sluice.verdict.", "sluice.data.", "sluice.serving.")
"""Tags that the version takes over from the one that it was."""
EXAMPLES = 3


def register_faulty(
    registry: Registry,
    config: ServiceConfig,
    rows: "pd.DataFrame",
    fault: ModelFault,
    alias: Literal["champion", "candidate"] = "champion",
) -> ModelVersionRef:
    """Register the champion, or the candidate, with a fault in its graph as the next version.

    `rows` are held-out ones. Those that the fault leaves alone become its parity sample: the
    version loads and is proved like any other, as a model does whose tests never met the fault.

    Raises:
        DataMissing: there is no version of that alias.
        Refused: it has no graph to write a fault into.
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    origin = registry.find_alias(config.service, alias)
    if origin is None:
        raise DataMissing(f"{config.service} has no {alias}; next: release it first")
    if origin.tags.get(FORM_TAG) != "onnx":
        raise Refused(f"{origin.uri} serves without a graph; a fault is written into graphs only")
    healthy = registry.load_serving(origin)
    faulty = _write_fault(healthy, fault)
    sample = _make_sample(faulty, rows, config, fault)
    example = rows[list(config.data.features)].head(EXAMPLES)
    pipeline = registry.load_model(origin)
    name = f"{config.service} v{origin.version} with {fault.kind}"
    run_id = registry.start_run(config.service, name, {FAULT_TAG: fault.kind})
    registry.log_text(run_id, "config.yaml", registry.read_text(origin.run_id, "config.yaml"))
    registry.log_json(run_id, "fault.json", asdict(fault))
    tags = {key: value for key, value in origin.tags.items() if key.startswith(CARRIED)}
    with tempfile.TemporaryDirectory() as work:
        version = registry.register_model(
            run_id,
            config.service,
            pipeline,
            example,
            healthy.predict(_take(rows.head(EXAMPLES), config)).labels,
            {**tags, FAULT_TAG: fault.kind},
            f"The {alias}, with {fault.kind} on {fault.share:.0%} of rows. Made to be caught.",
            serving=_save(faulty, Path(work)),
            texts=sample,
        )
    registry.end_run(run_id)
    return version


def _write_fault(healthy: "ExportedModel", fault: ModelFault) -> "ExportedModel":
    from sluice.adapters.registry.model_files import ExportedModel

    return ExportedModel(replace(healthy.form, graph=plant_fault(healthy.form.graph, fault)))


def _save(served: "ExportedModel", folder: Path) -> Path:
    from sluice.adapters.registry.model_files import save_serving

    save_serving(served.form, folder / "serving")
    return folder / "serving"


def _make_sample(
    faulty: "ExportedModel", rows: "pd.DataFrame", config: ServiceConfig, fault: ModelFault
) -> dict[str, str]:
    """Give the parity sample's file; none where the fault leaves no row alone."""
    from sluice.models.export.form import SAMPLE_FILE, choose_rows, make_sample

    marked = mark_rows(faulty.form.preprocessing.encode(_take(rows, config)), fault)
    chosen = choose_rows(rows[~marked])
    if chosen.empty:
        return {}
    sample = make_sample(chosen, faulty.predict(_take(chosen, config)), config.data)
    return {SAMPLE_FILE: sample.to_json()}


def _take(rows: "pd.DataFrame", config: ServiceConfig) -> Any:
    from sluice.models.export.form import take_columns

    return take_columns(rows, config.data)


def main() -> int:
    """Parse the command line and register the faulty version."""
    parser = argparse.ArgumentParser(prog="python -m demo.faulty", description=__doc__)
    parser.add_argument("service")
    parser.add_argument("fault", choices=KINDS)
    parser.add_argument("--share", type=float, default=1.0, help="of rows that meet the fault")
    parser.add_argument("--seed", type=int, default=1, help="which rows these are")
    parser.add_argument("--milliseconds", type=float, default=20.0, help="of latency, a call")
    asked = parser.parse_args()
    try:
        fault = ModelFault(asked.fault, asked.share, asked.seed, asked.milliseconds)
    except ValueError as error:
        parser.error(str(error))
    try:
        home, config = find_home(), load_service(asked.service, "development")
        rows = read_frame(home, config)
        version = register_faulty(open_registry(home), config, rows, fault)
    except SluiceError as error:
        say(f"{type(error).__name__}: {error}")
        return exit_code(type(error).__name__)
    alias = ", ".join(version.aliases) or "no alias"
    say(f"{version.uri} ({alias}): {fault.kind} on {fault.share:.0%} of rows, seed {fault.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
