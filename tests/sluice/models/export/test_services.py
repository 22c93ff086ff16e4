"""Every kind of model on every committed service: the served form answers as the trained one."""

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
    load_model,
    load_serving,
    save_model,
    save_serving,
)
from sluice.config.loading import list_services, load_service
from sluice.config.model import ModelConfig
from sluice.config.service import ServiceConfig
from sluice.gates.parity import ParityGate, choose_form, measure_parity
from sluice.models.export.form import OnnxExport, build_onnx_export, take_columns
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
SAMPLE, TAUGHT = 5000, 3500
Sample = tuple[ServiceConfig, pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    """Of each committed service: its configuration, rows that teach and rows that ask."""
    found = {}
    for service in list_services():
        config = load_service(service, "development")
        rows = read_first_rows(config, tmp_path_factory.mktemp(service))
        rows = rows.sample(SAMPLE, random_state=1).reset_index(drop=True)
        asked = rows[TAUGHT:].reset_index(drop=True)
        found[service] = (config, rows[:TAUGHT].reset_index(drop=True), asked)
    return found


def fit(sample: Sample, kind: str) -> Any:
    config, taught, _ = sample
    model = MODEL.validate_python({"kind": kind, "seed": 3, **KINDS[kind]})
    return fit_model(config.problem, model, config.data, taught, taught[config.data.target])


@pytest.mark.parametrize("service", list_services())
@pytest.mark.parametrize("kind", KINDS)
def test_both_forms_read_from_their_files_answer_the_same(
    samples: dict[str, Sample], tmp_path: Path, service: str, kind: str
) -> None:
    config, _, asked = samples[service]
    pipeline = fit(samples[service], kind)
    save_model(pipeline, tmp_path / "model.skops")
    save_serving(build_onnx_export(pipeline, config.data), tmp_path / "serving")
    trained = predict(load_model(tmp_path / "model.skops"), asked, config.data, config.problem)
    served = load_serving(tmp_path / "serving").predict(take_columns(asked, config.data))
    evidence = measure_parity(trained, served)
    verdict = ParityGate("onnx").judge(evidence)
    assert verdict.passed, verdict.message
    assert evidence.n == SAMPLE - TAUGHT
    assert (evidence.flips, choose_form(verdict)) == (0, "onnx")


def lower_precision(form: OnnxExport) -> ExportedModel:
    """Give the same form with its graph, splits and sums in float32, as converters write it."""
    model = onnx.load_from_string(form.graph)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    for tensor in model.graph.initializer:
        lower_tensor(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == TensorProto.DOUBLE:
                attribute.i = TensorProto.FLOAT
            lower_tensor(attribute.t)
    return Single(OnnxExport(form.preprocessing, model.SerializeToString(), form.answering))


def lower_tensor(tensor: Any) -> None:
    if tensor.data_type == TensorProto.DOUBLE:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


class Single(ExportedModel):
    """A served form whose graph reads and answers float32."""

    def run(self, numbers: Any) -> Any:
        single: Any = numbers.astype(np.float32)
        return super().run(single).astype(np.float64)


def stand_beside_splits(asked: pd.DataFrame, form: OnnxExport, column: str) -> pd.DataFrame:
    """Give rows whose value is the double just above a split, which float32 cannot tell from it."""
    node = onnx.load_from_string(form.graph).graph.node[-1]
    found = {attribute.name: attribute for attribute in node.attribute}
    place = [item.name for item in form.preprocessing.columns].index(column)
    splits = numpy_helper.to_array(found["nodes_splits"].t)
    splits = np.unique(splits[np.array(found["nodes_featureids"].ints) == place])
    assert len(splits) > 20
    rows = asked.iloc[np.arange(len(splits)) % len(asked)].reset_index(drop=True)
    return rows.assign(**{column: np.nextafter(splits, np.inf)})


def test_single_precision_is_wrong_beside_splits_and_never_serves(
    samples: dict[str, Sample],
) -> None:
    config, _, asked = samples["earnings"]
    pipeline = fit(samples["earnings"], "hist_gradient_boosting")
    form = build_onnx_export(pipeline, config.data)
    rows = stand_beside_splits(asked, form, "earned_1975")
    trained = predict(pipeline, rows, config.data, config.problem)
    raw = take_columns(rows, config.data)
    assert (
        ParityGate("onnx").judge(measure_parity(trained, ExportedModel(form).predict(raw))).passed
    )
    evidence = measure_parity(trained, lower_precision(form).predict(raw))
    halted = ParityGate("onnx").judge(evidence)
    assert halted.outcome is Outcome.FAIL
    assert evidence.difference is not None
    assert evidence.difference > 10  # dollars
    fallen = ParityGate("auto").judge(evidence)
    assert fallen.passed
    assert choose_form(fallen) == "sklearn"
    assert fallen.notices[0].startswith("RED LINE: the slower trained form serves")


def test_a_rare_row_is_enough_to_halt(samples: dict[str, Sample]) -> None:
    """One row beside a split among a thousand that agree."""
    config, _, asked = samples["earnings"]
    pipeline = fit(samples["earnings"], "hist_gradient_boosting")
    form = build_onnx_export(pipeline, config.data)
    beside = stand_beside_splits(asked, form, "earned_1975")
    single, trap = lower_precision(form), take_columns(beside, config.data)
    trained = predict(pipeline, beside, config.data, config.problem)
    wrong = np.abs(trained.labels - single.predict(trap).labels) > 1
    one = pd.concat([asked[:1000], beside[wrong][:1]], ignore_index=True)
    answers = predict(pipeline, one, config.data, config.problem)
    evidence = measure_parity(answers, single.predict(take_columns(one, config.data)))
    assert evidence.beyond >= 1
    assert not ParityGate("onnx").judge(evidence).passed
