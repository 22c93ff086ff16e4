"""The ONNX export predicts as scikit-learn, on rows that single precision gets wrong."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.adapters.registry.model_files import ExportedModel
from sluice.config.data import DataConfig
from sluice.errors import DataInvalid, ServingImpossible
from sluice.gates.parity import ParityGate, measure_parity
from sluice.models.export.onnx_export import build_onnx_export, take_columns
from sluice.models.prediction import predict

KINDS = ("linear", "random_forest", "hist_gradient_boosting")
Rows = Callable[..., pd.DataFrame]
Data = Callable[[str], DataConfig]
Fitted = Callable[..., Any]


def list_variants() -> list[tuple[str, str, str, object]]:
    variants: list[tuple[str, str, str, object]] = []
    for kind, problem in itertools.product(KINDS, ("binary", "multiclass", "regression")):
        calibrations = ["none"] if problem == "regression" else ["none", "sigmoid", "isotonic"]
        thresholds = [0.5, 0.31, "f1"] if problem == "binary" else [0.5]
        variants += [(kind, problem, *rest) for rest in itertools.product(calibrations, thresholds)]
    return variants


def largest_difference(pipeline: Any, data: DataConfig, problem: Any, frame: pd.DataFrame) -> float:
    """Assert the gate's limits; return the difference as a share of the largest prediction."""
    exported = ExportedModel(build_onnx_export(pipeline, data))
    native = predict(pipeline, frame, data, problem)
    evidence = measure_parity(native, exported.predict(take_columns(frame, data)))
    verdict = ParityGate("onnx").judge(evidence)
    assert verdict.passed, verdict.message
    largest = 1.0 if native.scores is not None else float(np.abs(native.labels).max())
    assert evidence.difference is not None
    return evidence.difference / largest


def make_unseen(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows unlike the training rows: other text, and nulls where there were none."""
    frame = frame.copy()
    frame.loc[::7, "town"] = "zennor"
    frame.loc[::11, "colour"] = None
    frame.loc[::13, "colour"] = "no colour"
    frame["count"] = frame["count"].astype("float64")
    frame.loc[::17, "count"] = np.nan
    return frame


@pytest.mark.parametrize("variant", list_variants())
def test_every_variant_predicts_the_same_to_the_last_digits(
    rows: Rows, data: Data, fitted: Fitted, variant: tuple[str, str, str, object]
) -> None:
    kind, problem, calibration, threshold = variant
    options = {} if problem == "regression" else {"calibration": calibration}
    pipeline = fitted(problem, rows(problem), kind, threshold=threshold, **options)
    unseen = make_unseen(rows(problem, seed=6))
    assert largest_difference(pipeline, data(problem), problem, unseen) < 1e-12


@pytest.mark.parametrize("kind", ["random_forest", "hist_gradient_boosting"])
def test_numbers_beyond_float32_go_the_right_way(
    rows: Rows, data: Data, fitted: Fitted, kind: str
) -> None:
    """Values are one double step on each side of every split, and splits between two floats."""
    frame = rows("binary")
    frame["size"] = 1.0 + np.arange(len(frame)) * 1e-9
    frame["y"] = np.where(np.arange(len(frame)) // 30 % 2, "b", "a")
    pipeline = fitted("binary", frame, kind, min_leaf=5)
    found = np.unique(frame["size"])
    middles = (found[1:] + found[:-1]) / 2
    traps = np.concatenate([middles, np.nextafter(middles, 0), np.nextafter(middles, 2)])
    unseen = frame.iloc[np.arange(len(traps)) % len(frame)].reset_index(drop=True)
    unseen["size"] = traps
    assert largest_difference(pipeline, data("binary"), "binary", unseen) < 1e-12


@pytest.mark.parametrize("kind", ["random_forest", "hist_gradient_boosting"])
def test_integers_that_are_equal_in_float32(
    rows: Rows, data: Data, fitted: Fitted, kind: str
) -> None:
    frame = rows("binary")
    frame["count"] = 2**40 + np.arange(len(frame))
    frame["y"] = np.where(frame["count"] // 40 % 2, "b", "a")
    pipeline = fitted("binary", frame, kind, min_leaf=5)
    assert largest_difference(pipeline, data("binary"), "binary", frame) < 1e-12
    labels = predict(pipeline, frame, data("binary"), "binary").labels
    assert kind == "random_forest" or (labels == frame["y"]).mean() > 0.9


def test_single_precision_would_have_flipped_labels(rows: Rows, data: Data, fitted: Fitted) -> None:
    """The check is needed: the gate stops the same export on float32 numbers."""
    frame = rows("binary")
    frame["count"] = 2**40 + np.arange(len(frame))
    frame["y"] = np.where(frame["count"] // 40 % 2, "b", "a")
    pipeline = fitted("binary", frame, "hist_gradient_boosting", min_leaf=5)
    export = build_onnx_export(pipeline, data("binary"))
    exported = ExportedModel(export)
    raw = take_columns(frame, data("binary"))
    rounded = export.predict(lambda X: exported.run(X.astype(np.float32).astype(np.float64)), raw)
    evidence = measure_parity(predict(pipeline, frame, data("binary"), "binary"), rounded)
    verdict = ParityGate("onnx").judge(evidence)
    assert evidence.flips > 0
    assert verdict.reason.endswith("1 more check failed")


def test_one_row_predicts_as_in_a_batch(rows: Rows, data: Data, fitted: Fitted) -> None:
    frame = rows("multiclass")
    pipeline = fitted("multiclass", frame, "hist_gradient_boosting")
    exported = ExportedModel(build_onnx_export(pipeline, data("multiclass")))
    whole = exported.predict(take_columns(frame, data("multiclass")))
    assert whole.scores is not None
    for at in range(25):
        one = exported.predict({name: [frame[name][at]] for name in data("multiclass").features})
        assert one.scores is not None
        assert np.array_equal(one.scores[0], whole.scores[at])


def test_an_unknown_estimator_is_named(rows: Rows, data: Data, fitted: Fitted) -> None:
    from sklearn.pipeline import Pipeline
    from sklearn.tree import DecisionTreeClassifier

    frame = rows("multiclass")
    pipeline = fitted("multiclass", frame, "random_forest")
    other = Pipeline([("features", pipeline[0]), ("model", DecisionTreeClassifier())])
    other.fit(frame, frame["y"])
    with pytest.raises(ServingImpossible, match="no ONNX graph for DecisionTreeClassifier; known"):
        build_onnx_export(other, data("multiclass"))


def test_an_absent_column_is_named(rows: Rows, data: Data, fitted: Fitted) -> None:
    exported = ExportedModel(
        build_onnx_export(fitted("binary", rows("binary"), "linear"), data("binary"))
    )
    with pytest.raises(DataInvalid, match="lack feature column 'town'; found: size"):
        exported.predict({"size": [1.0]})


def test_a_forest_that_is_too_large_is_refused(
    rows: Rows, data: Data, fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.models.export.graph.MOST_NODES", 100)
    with pytest.raises(ServingImpossible, match=r"nodes in all .* allowed: 100; raise model"):
        build_onnx_export(fitted("binary", rows("binary"), "random_forest"), data("binary"))
