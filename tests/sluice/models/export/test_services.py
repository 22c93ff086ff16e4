"""Every kind of model on every committed service: the ONNX export predicts as the native model."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, numpy_helper
from pydantic import TypeAdapter

from sluice.adapters.registry.model_files import (
    ExportedModel,
    load_export,
    load_model,
    save_export,
    save_model,
)
from sluice.config.loading import list_services, load_service
from sluice.config.model import ModelConfig
from sluice.config.service import ServiceConfig
from sluice.gates.parity import ParityGate, choose_backend, measure_parity
from sluice.models.export.onnx_export import OnnxExport, build_onnx_export, take_columns
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.verdict import Outcome
from support.releases.services import read_first_rows

MODEL: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)
KINDS: dict[str, dict[str, int]] = {
    "linear": {},
    "random_forest": {"trees": 30},
    "hist_gradient_boosting": {"iterations": 40},
}
PAIRS = [
    (service, kind)
    for service in list_services()
    for kind in KINDS
    if service != "injection" or kind == "linear"  # its n-grams are for linear models
]
SAMPLE, TRAINING_ROWS = 5000, 3500
Sample = tuple[ServiceConfig, pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    """Return each committed service's configuration, training rows and held-out rows."""
    found = {}
    for service in list_services():
        config = load_service(service, "development")
        rows = read_first_rows(config, tmp_path_factory.mktemp(service))
        rows = rows.sample(SAMPLE, random_state=1).reset_index(drop=True)
        held_out = rows[TRAINING_ROWS:].reset_index(drop=True)
        found[service] = (config, rows[:TRAINING_ROWS].reset_index(drop=True), held_out)
    return found


def fit(sample: Sample, kind: str) -> Any:
    config, training, _ = sample
    model = MODEL.validate_python({"kind": kind, "seed": 3, **KINDS[kind]})
    return fit_model(config.problem, model, config.data, training, training[config.data.target])


@pytest.mark.parametrize(("service", "kind"), PAIRS)
def test_export_and_native_model_read_from_files_predict_the_same(
    samples: dict[str, Sample], tmp_path: Path, service: str, kind: str
) -> None:
    config, _, held_out = samples[service]
    pipeline = fit(samples[service], kind)
    save_model(pipeline, tmp_path / "model.skops")
    save_export(build_onnx_export(pipeline, config.data), tmp_path / "serving")
    native = predict(load_model(tmp_path / "model.skops"), held_out, config.data, config.problem)
    exported = load_export(tmp_path / "serving").predict(take_columns(held_out, config.data))
    evidence = measure_parity(native, exported)
    verdict = ParityGate("onnx").judge(evidence)
    assert verdict.passed, verdict.message
    assert evidence.n == SAMPLE - TRAINING_ROWS
    assert (evidence.flips, choose_backend(verdict)) == (0, "onnx")


def lower_precision(export: OnnxExport) -> ExportedModel:
    """Return the same export with its graph in float32, as converters write it."""
    model = onnx.load_from_string(export.graph)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    for tensor in model.graph.initializer:
        lower_tensor(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == TensorProto.DOUBLE:
                attribute.i = TensorProto.FLOAT
            lower_tensor(attribute.t)
    return Single(
        OnnxExport(export.preprocessing, model.SerializeToString(), export.postprocessing)
    )


def lower_tensor(tensor: Any) -> None:
    if tensor.data_type == TensorProto.DOUBLE:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


class Single(ExportedModel):
    """An export whose graph reads and returns float32."""

    def run(self, numbers: Any) -> Any:
        single: Any = numbers.astype(np.float32)
        return super().run(single).astype(np.float64)


def make_rows_above_splits(held_out: pd.DataFrame, export: OnnxExport, column: str) -> pd.DataFrame:
    """Return rows whose value is the double just above a split; both are one float32."""
    node = onnx.load_from_string(export.graph).graph.node[-1]
    found = {attribute.name: attribute for attribute in node.attribute}
    place = [item.name for item in export.preprocessing.columns].index(column)
    splits = numpy_helper.to_array(found["nodes_splits"].t)
    splits = np.unique(splits[np.array(found["nodes_featureids"].ints) == place])
    assert len(splits) > 20
    rows = held_out.iloc[np.arange(len(splits)) % len(held_out)].reset_index(drop=True)
    return rows.assign(**{column: np.nextafter(splits, np.inf)})


def test_single_precision_is_wrong_near_splits_and_never_serves(
    samples: dict[str, Sample],
) -> None:
    config, _, held_out = samples["earnings"]
    pipeline = fit(samples["earnings"], "hist_gradient_boosting")
    export = build_onnx_export(pipeline, config.data)
    rows = make_rows_above_splits(held_out, export, "earned_1975")
    native = predict(pipeline, rows, config.data, config.problem)
    raw = take_columns(rows, config.data)
    assert (
        ParityGate("onnx").judge(measure_parity(native, ExportedModel(export).predict(raw))).passed
    )
    evidence = measure_parity(native, lower_precision(export).predict(raw))
    halted = ParityGate("onnx").judge(evidence)
    assert halted.outcome is Outcome.FAIL
    assert evidence.difference is not None
    assert evidence.difference > 10  # dollars
    fallen = ParityGate("auto").judge(evidence)
    assert fallen.passed
    assert choose_backend(fallen) == "sklearn"
    assert fallen.notices[0].startswith("RED LINE: the slower native model serves")


def test_a_rare_row_is_enough_to_halt(samples: dict[str, Sample]) -> None:
    """One row near a split, among a thousand equal ones, halts the release."""
    config, _, held_out = samples["earnings"]
    pipeline = fit(samples["earnings"], "hist_gradient_boosting")
    export = build_onnx_export(pipeline, config.data)
    near_splits = make_rows_above_splits(held_out, export, "earned_1975")
    single, trap = lower_precision(export), take_columns(near_splits, config.data)
    native = predict(pipeline, near_splits, config.data, config.problem)
    wrong = np.abs(native.labels - single.predict(trap).labels) > 1
    one = pd.concat([held_out[:1000], near_splits[wrong][:1]], ignore_index=True)
    predictions = predict(pipeline, one, config.data, config.problem)
    evidence = measure_parity(predictions, single.predict(take_columns(one, config.data)))
    assert evidence.beyond >= 1
    assert not ParityGate("onnx").judge(evidence).passed
