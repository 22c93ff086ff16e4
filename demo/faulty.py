"""Model versions with a fault in their ONNX graph, registered like any other version.

    python -m demo.faulty SERVICE FAULT [--share .3] [--milliseconds 20] [--seed 1]

Such a version is the champion with a fault in its graph. It carries the champion's verdicts, as if
no gate had noticed, and becomes the service's candidate. A share of the rows meets the fault,
always the same ones: a seeded hash of a row's prepared numbers decides.
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
from sluice.adapters.storage import close_state
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
"""The value that replaces a null in the hash."""
MATRIX_SIZE = 48
"""Rows and columns of the matrix that one round of the latency fault multiplies."""
HANG_MS = 60_000.0
"""How long a call with the fault `hang` takes."""
FORM_TAG, FAULT_TAG = "sluice.serving.form", "sluice.fault"
COPIED_TAGS = ("sluice.verdict.", "sluice.data.", "sluice.serving.")
"""Prefixes of the tags that are copied from the original version."""
EXAMPLES = 3
"""Rows of the registered input example."""


@dataclass(frozen=True)
class ModelFault:
    """A fault of a model: its kind, the share of rows that it affects, and their seed.

    `milliseconds` is the time that `latency` adds to a call with such a row.
    """

    kind: FaultKind
    share: float = 1.0
    seed: int = 1
    milliseconds: float = 20.0

    def __post_init__(self) -> None:
        """Refuse an invalid share or time."""
        if not 0 < self.share <= 1:
            raise ValueError(f"share: found {self.share}; allowed: more than 0, at most 1")
        if not 0 < self.milliseconds <= HANG_MS:
            raise ValueError(f"milliseconds: found {self.milliseconds}; allowed: to {HANG_MS:g}")


def register_faulty(
    registry: Registry,
    config: ServiceConfig,
    rows: "pd.DataFrame",
    fault: ModelFault,
    alias: Literal["champion", "candidate"] = "champion",
) -> ModelVersionRef:
    """Register the version of an alias again, with a fault in its graph.

    `rows` are held-out rows. Those without the fault become its parity sample, so that the version
    loads and passes its parity check, like a model whose tests never met the fault.

    Raises:
        DataMissing: no version has the alias.
        Refused: the version has no ONNX graph.
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    origin = registry.find_alias(config.service, alias)
    if origin is None:
        raise DataMissing(f"{config.service} has no {alias}; next: release it first")
    if origin.tags.get(FORM_TAG) != "onnx":
        raise Refused(f"{origin.uri} has no ONNX graph; a fault can only be planted in one")
    healthy = registry.load_export(origin)
    faulty = _write_fault(healthy, fault)
    sample = _make_sample(faulty, rows, config, fault)
    example = rows[list(config.data.features)].head(EXAMPLES)
    pipeline = registry.load_model(origin)
    name = f"{config.service} v{origin.version} with {fault.kind}"
    run_id = registry.start_run(config.service, name, {FAULT_TAG: fault.kind})
    registry.log_text(run_id, "config.yaml", registry.read_text(origin.run_id, "config.yaml"))
    registry.log_json(run_id, "fault.json", asdict(fault))
    tags = {key: value for key, value in origin.tags.items() if key.startswith(COPIED_TAGS)}
    with tempfile.TemporaryDirectory() as work:
        version = registry.register_model(
            run_id,
            config.service,
            pipeline,
            example,
            healthy.predict(_take(rows.head(EXAMPLES), config)).labels,
            {**tags, FAULT_TAG: fault.kind},
            f"The {alias}, with {fault.kind} on {fault.share:.0%} of rows, planted on purpose.",
            serving=_save(faulty, Path(work)),
            texts=sample,
        )
    registry.end_run(run_id)
    return version


def _write_fault(healthy: "ExportedModel", fault: ModelFault) -> "ExportedModel":
    from sluice.adapters.registry.model_files import ExportedModel

    return ExportedModel(replace(healthy.export, graph=plant_fault(healthy.export.graph, fault)))


def _save(served: "ExportedModel", folder: Path) -> Path:
    from sluice.adapters.registry.model_files import save_export

    save_export(served.export, folder / "serving")
    return folder / "serving"


def _make_sample(
    faulty: "ExportedModel", rows: "pd.DataFrame", config: ServiceConfig, fault: ModelFault
) -> dict[str, str]:
    """Return the parity sample's file by name; empty where every row has the fault."""
    from sluice.models.export.onnx_export import SAMPLE_FILE, choose_rows, make_sample

    marked = mark_rows(faulty.export.preprocessing.encode(_take(rows, config)), fault)
    chosen = choose_rows(rows[~marked])
    if chosen.empty:
        return {}
    sample = make_sample(chosen, faulty.predict(_take(chosen, config)), config.data)
    return {SAMPLE_FILE: sample.to_json()}


def _take(rows: "pd.DataFrame", config: ServiceConfig) -> Any:
    from sluice.models.export.onnx_export import take_columns

    return take_columns(rows, config.data)


def plant_fault(graph: bytes, fault: ModelFault) -> bytes:
    """Return the graph with the fault; other rows keep their scores, bit for bit."""
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
        added = HANG_MS if fault.kind == "hang" else fault.milliseconds
        _add(model, _delay(round(added / measure_round())))
    elif fault.kind == "errors":
        _add(model, _raise())
    else:
        _add(model, _flip(targets) if fault.kind == "flipped" else _spoil())
    checker.check_model(model)
    return bytes(model.SerializeToString())


def mark_rows(numbers: NDArray[np.float64], fault: ModelFault) -> NDArray[np.bool_]:
    """Return which rows of numbers, shape (n, columns), meet the fault; shape (n,)."""
    drawn = np.where(np.isnan(numbers), ABSENT, numbers) @ _draw_weights(numbers.shape[1], fault)
    marked: NDArray[np.bool_] = (drawn - np.floor(drawn))[:, 0] < fault.share
    return marked


def measure_round(rounds: int = 2000) -> float:
    """Return the milliseconds that one round of the latency fault takes here, at best."""
    import onnxruntime
    from onnx import TensorProto, helper

    parts = _delay(rounds)
    parts.constants["is_marked"] = np.array([[True]])
    parts.constants[HEALTHY] = np.zeros((1, 1))
    graph = helper.make_graph(
        parts.nodes,
        "delay",
        [],
        [helper.make_tensor_value_info(SCORES, TensorProto.DOUBLE, [None, 1])],
        parts.initializers,
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    # Otherwise the whole loop would be computed once, when the graph is loaded.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    durations = []
    for _ in range(3):
        started = time.perf_counter()
        session.run([SCORES], {})
        durations.append(time.perf_counter() - started)
    return min(durations) * 1000 / rounds


@dataclass(frozen=True)
class _Parts:
    """Nodes of a graph and their constants."""

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
    """Return nodes that compute `is_marked`, shape (n, 1), as `mark_rows` does."""
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
    """Return nodes that replace the scores of marked rows by NaN."""
    from onnx import helper

    node = helper.make_node("Where", ["is_marked", "fault_nan", HEALTHY], [SCORES])
    return _Parts([node], {"fault_nan": np.array(np.nan)})


def _flip(targets: int) -> _Parts:
    """Return nodes that negate the score of marked rows, or reverse their class scores."""
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
    """Return nodes that compute `fault_count`: `times` where any row is marked, else 0."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["is_marked"], ["fault_ones"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["fault_ones"], ["fault_any"], keepdims=0),
        helper.make_node("Mul", ["fault_any", "fault_times"], ["fault_count"]),
    ]
    return nodes, {"fault_times": np.array(times, dtype=np.int64)}


def _raise() -> _Parts:
    """Return nodes that read beyond a table's end, an error, where any row is marked."""
    from onnx import helper

    nodes, constants = _count_marked(1)
    nodes += [
        helper.make_node("Gather", ["fault_table", "fault_count"], ["fault_nothing"]),
        helper.make_node("Add", [HEALTHY, "fault_nothing"], [SCORES]),
    ]
    return _Parts(nodes, {**constants, "fault_table": np.zeros(1)})


def _delay(rounds: int) -> _Parts:
    """Return nodes that multiply matrices for so many rounds where any row is marked.

    The scores stay as they are.
    """
    from onnx import TensorProto, helper

    shape = [MATRIX_SIZE, MATRIX_SIZE]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["continue"], ["continue_next"]),
            helper.make_node("MatMul", ["state", "fault_matrix"], ["state_next"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("continue", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.DOUBLE, shape),
        ],
        [
            helper.make_tensor_value_info("continue_next", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state_next", TensorProto.DOUBLE, shape),
        ],
    )
    nodes, constants = _count_marked(max(rounds, 1))
    nodes += [
        helper.make_node(
            "Loop", ["fault_count", "fault_continue", "fault_state"], ["fault_end"], body=body
        ),
        helper.make_node("ReduceMax", ["fault_end"], ["fault_most"], keepdims=0),
        helper.make_node("Min", ["fault_most", "fault_zero"], ["fault_nothing"]),
        helper.make_node("Add", [HEALTHY, "fault_nothing"], [SCORES]),
    ]
    rotation = np.roll(np.eye(MATRIX_SIZE), 1, axis=0)
    more = {
        "fault_matrix": rotation,
        "fault_state": np.eye(MATRIX_SIZE),
        "fault_continue": np.array(True),
        "fault_zero": np.array(0.0),
    }
    return _Parts(nodes, {**constants, **more})


def main() -> int:
    """Parse the command line and register the faulty version."""
    parser = argparse.ArgumentParser(prog="python -m demo.faulty", description=__doc__)
    parser.add_argument("service")
    parser.add_argument("fault", choices=KINDS)
    parser.add_argument("--share", type=float, default=1.0, help="of rows that meet the fault")
    parser.add_argument("--seed", type=int, default=1, help="seed that chooses these rows")
    parser.add_argument(
        "--milliseconds", type=float, default=20.0, help="that latency adds to a call"
    )
    options = parser.parse_args()
    close_state(find_home().root)
    try:
        fault = ModelFault(options.fault, options.share, options.seed, options.milliseconds)
    except ValueError as error:
        parser.error(str(error))
    try:
        home, config = find_home(), load_service(options.service, "development")
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
