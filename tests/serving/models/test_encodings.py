"""ONNX export and native model answer the JSON of a request alike, for every encoding."""

import json

import numpy as np
import pytest

from serving.models.predictors import NativeBackend, OnnxBackend
from serving.models.signature import Signature
from sluice.adapters.registry.model_files import ExportedModel
from sluice.models.export.onnx_export import build_onnx_export, make_sample
from sluice.models.prediction import predict
from support.releases.encoded import SMALL, fit, make_data, make_unseen


@pytest.mark.parametrize("kind", list(SMALL))
def test_both_backends_answer_odd_records_alike(kind: str) -> None:
    data, unseen, pipeline = (
        make_data("multiclass"),
        make_unseen("multiclass"),
        fit("multiclass", kind),
    )
    signature = Signature({name: data.columns[name] for name in data.features})
    expected = predict(pipeline, unseen, data, "multiclass")
    sample = make_sample(unseen, expected, data)
    records = signature.decode(json.dumps(sample.records).encode())
    backends = (
        OnnxBackend(ExportedModel(build_onnx_export(pipeline, data)), signature),
        NativeBackend(pipeline, signature, data, "multiclass"),
    )
    for backend in backends:
        answers = backend.answer(records)
        assert answers.labels.tolist() == expected.labels.tolist()
        np.testing.assert_allclose(answers.scores, expected.scores, rtol=0, atol=1e-9)
