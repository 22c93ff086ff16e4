"""The ONNX export's files: whole or absent, plain values only, named when they are damaged."""

import json
import pickletools
from pathlib import Path

import numpy as np
import pytest

from sluice.adapters.registry.model_files import (
    GRAPH_FILE,
    ExportedModel,
    load_export,
    save_export,
)
from sluice.errors import DataMissing, DataUnavailable, ServingImpossible
from sluice.models.export.graph import build_graph
from sluice.models.export.onnx_export import OnnxExport
from sluice.models.export.postprocessing import Calibrator, Postprocessing
from sluice.models.export.preprocessing import NumberColumn, Preprocessing


def make_export() -> OnnxExport:
    from sklearn.linear_model import LogisticRegression

    X = np.arange(20.0)[:, np.newaxis]
    model = LogisticRegression().fit(X, X[:, 0] > 9)
    postprocessing = Postprocessing(
        "logistic", classes=(False, True), calibrators=(Calibrator(-1.0, 0.1),)
    )
    return OnnxExport(
        Preprocessing((NumberColumn("size", "number"),)), build_graph(model, 1, ()), postprocessing
    )


def test_a_saved_export_is_read_back_equal(tmp_path: Path) -> None:
    export = make_export()
    save_export(export, tmp_path)
    again = load_export(tmp_path)
    assert again.export.postprocessing == export.postprocessing
    assert again.export.graph == export.graph
    rows = {"size": [1.0, 9.4, 9.6, 18.0]}
    before, after = ExportedModel(export).predict(rows), again.predict(rows)
    assert before.scores is not None
    assert after.scores is not None
    assert np.array_equal(before.scores, after.scores)
    assert before.labels.tolist() == after.labels.tolist() == [False, False, True, True]


def test_more_rows_than_one_batch_keep_their_order() -> None:
    served = ExportedModel(make_export())
    sizes = np.linspace(0, 20, 10_000)
    scores = served.predict({"size": sizes}).scores
    assert scores is not None
    assert len(scores) == 10_000
    assert (np.diff(scores) > 0).all()


def test_no_rows_have_no_predictions() -> None:
    assert len(ExportedModel(make_export()).predict({"size": []}).labels) == 0


def test_files_are_three_and_none_is_a_pickle(tmp_path: Path) -> None:
    save_export(make_export(), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"serving.onnx", "preprocessing.json", "answering.json"}
    for name in names - {"serving.onnx"}:
        json.loads((tmp_path / name).read_text())
    with pytest.raises(ValueError, match="opcode"):
        list(pickletools.genops((tmp_path / "serving.onnx").read_bytes()))


@pytest.mark.parametrize("name", ["serving.onnx", "preprocessing.json", "answering.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    save_export(make_export(), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataMissing, match=name):
        load_export(tmp_path)


@pytest.mark.parametrize("name", ["preprocessing.json", "answering.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b"\xff"])
def test_damaged_values_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    save_export(make_export(), tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ServingImpossible, match=r"is damaged.*; fetch it again"):
        load_export(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no graph", bytes(100)])
def test_a_damaged_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    save_export(make_export(), tmp_path)
    (tmp_path / GRAPH_FILE).write_bytes(content)
    with pytest.raises(ServingImpossible, match=r"onnxruntime cannot load serving\.onnx"):
        load_export(tmp_path).predict({"size": [1.0]})


def test_a_folder_that_cannot_be_written_is_an_infrastructure_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataUnavailable, match="ONNX export taken"):
        save_export(make_export(), tmp_path / "taken")
