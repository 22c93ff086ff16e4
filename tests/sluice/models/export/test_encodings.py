"""Dates, words and means of the target: the export computes what the fitted pipeline computes."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.adapters.registry.model_files import (
    ExportedModel,
    load_export,
    load_model,
    save_export,
    save_model,
)
from sluice.config.model import Problem
from sluice.errors import ConfigInvalid, ServingImpossible, TrainingImpossible
from sluice.gates.parity import measure_parity
from sluice.models.export.onnx_export import build_onnx_export, make_sample, take_columns
from sluice.models.export.preprocessing import Preprocessing
from sluice.models.export.reading import read_preprocessing
from sluice.models.export.row_encoder import RowEncoder
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.stats.holdout import Predictions
from support.releases.encoded import (
    ENCODINGS,
    MODEL,
    ODD,
    PROBLEMS,
    ROWS,
    SMALL,
    WORDS,
    fit,
    fit_ngrams,
    make_data,
    make_frame,
    make_ngram_data,
    make_unseen,
)


@pytest.mark.parametrize(("problem", "kind"), list(itertools.product(PROBLEMS, SMALL)))
def test_unseen_rows_are_predicted_as_by_the_native_model_after_both_were_saved(
    tmp_path: Path, problem: Problem, kind: str
) -> None:
    data, unseen, pipeline = make_data(problem), make_unseen(problem), fit(problem, kind)
    save_model(pipeline, tmp_path / "model.skops")
    save_export(build_onnx_export(pipeline, data), tmp_path / "serving")
    native = predict(load_model(tmp_path / "model.skops"), unseen, data, problem)
    again = predict(pipeline, unseen, data, problem)
    np.testing.assert_array_equal(native.labels, again.labels)
    evidence = measure_parity(
        native, load_export(tmp_path / "serving").predict(take_columns(unseen, data))
    )
    assert (evidence.missing, evidence.beyond, evidence.flips) == ("", 0, 0)
    assert evidence.difference is not None
    assert evidence.difference < 1e-9


@pytest.mark.parametrize("kind", ["linear", "random_forest"])
def test_one_row_becomes_the_numbers_of_the_column(kind: str) -> None:
    data, unseen = make_data("multiclass"), make_unseen("multiclass")
    preprocessing = read_preprocessing(fit("multiclass", kind)[0], data)
    encoder = RowEncoder(preprocessing)
    sample = make_sample(unseen, Predictions(np.zeros(len(unseen))), data)
    values = [
        [_parse(data.columns[name], record[name]) for name in encoder.names]
        for record in sample.records
    ]
    expected = preprocessing.encode(take_columns(unseen, data))
    assert expected.shape[1] == preprocessing.width
    np.testing.assert_array_equal(encoder.encode(values), expected)
    again = Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict())))
    np.testing.assert_array_equal(again.encode(take_columns(unseen, data)), expected)


def _parse(kind: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if kind == "timestamp" and value else value


def test_numbers_are_those_of_the_transformer() -> None:
    data, unseen = make_data("binary"), make_unseen("binary")
    transformer = fit("binary", "random_forest")[0]
    expected = transformer.transform(unseen[list(data.features)])
    found = read_preprocessing(transformer, data).encode(take_columns(unseen, data))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


TEXTS = st.none() | st.text(max_size=40) | st.lists(st.sampled_from([*WORDS, *ODD])).map(" ".join)
MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))
DATES = TEXTS | st.dates().map(str) | st.datetimes().map(str)


@settings(deadline=None)  # the first call fits a model
@given(st.lists(st.tuples(MOMENTS, MOMENTS, DATES, TEXTS, TEXTS), min_size=1, max_size=5))
def test_any_row_becomes_the_numbers_of_the_column(rows: list[tuple[Any, ...]]) -> None:
    data = make_data("regression")
    preprocessing = read_preprocessing(fit("regression", "linear")[0], data)
    encoder = RowEncoder(preprocessing)
    columns: dict[str, list[Any]] = {"size": [], "hue": [], "member": []}
    names = ("seen", "hired", "opened", "shop", "note")
    columns |= dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns |= {"size": [0.5] * len(rows), "hue": ["red"] * len(rows), "member": [True] * len(rows)}
    records = zip(*(columns[name] for name in encoder.names), strict=True)
    np.testing.assert_array_equal(encoder.encode(records), preprocessing.encode(columns))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_ngrams_become_one_number_a_target_and_predict_as_the_native_model(
    tmp_path: Path, problem: Problem
) -> None:
    data, unseen, pipeline = make_ngram_data(problem), make_unseen(problem), fit_ngrams(problem)
    save_model(pipeline, tmp_path / "model.skops")
    save_export(build_onnx_export(pipeline, data), tmp_path / "serving")
    exported = load_export(tmp_path / "serving")
    words = [item for item in exported.export.preprocessing.columns if item.name == "note"]
    assert [item.outputs for item in words] == [3 if problem == "multiclass" else 1]
    native = predict(load_model(tmp_path / "model.skops"), unseen, data, problem)
    evidence = measure_parity(native, exported.predict(take_columns(unseen, data)))
    assert (evidence.missing, evidence.beyond, evidence.flips) == ("", 0, 0)
    assert evidence.difference is not None
    assert evidence.difference < 1e-9


LETTERS = TEXTS | st.text("aeé ıß\n\t\u2003", max_size=30) | st.text("late", max_size=60)


@settings(deadline=None)
@given(st.lists(LETTERS, min_size=1, max_size=5))
def test_any_text_has_the_score_that_the_native_coefficients_give(notes: list[str | None]) -> None:
    pipeline, data = fit_ngrams("binary"), make_ngram_data("binary")
    step, model = pipeline[0].named_transformers_["ngrams"], pipeline[-1].estimator_.estimator
    place = pipeline[0].output_indices_["ngrams"]
    native = step.transform(pd.DataFrame({"shop": [""] * len(notes), "note": notes}, dtype=object))
    expected = native @ model.coef_[0, place]
    columns = read_preprocessing(pipeline[0], data, model).columns
    found = sum(item.encode(notes)[:, 0] for item in columns if item.name == "note")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    one = sum(item.encode_one(notes[0])[0] for item in columns if item.name == "note")
    assert one == np.asarray(found)[0]


def test_ngrams_without_coefficients_have_no_export() -> None:
    with pytest.raises(ServingImpossible, match="no ONNX export of n-grams for NoneType, which"):
        read_preprocessing(fit_ngrams("binary")[0], make_ngram_data("binary"))


def test_a_column_whose_terms_are_all_rare_adds_nothing(tmp_path: Path) -> None:
    frame = make_frame("binary").copy()
    frame["note"] = pd.Series([chr(0x4E00 + at) for at in range(ROWS)], dtype="str")
    data = make_data("binary", **{**ENCODINGS, "note": "ngrams"})
    pipeline = fit_model("binary", MODEL.validate_python({"kind": "linear"}), data, frame, frame.y)
    export = build_onnx_export(pipeline, data)
    assert "note" not in [item.name for item in export.preprocessing.columns]
    native = predict(pipeline, frame, data, "binary")
    found = ExportedModel(export).predict(take_columns(frame, data))
    np.testing.assert_allclose(found.scores, native.scores, rtol=0, atol=1e-9)


DAMAGES: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "a weight less": ("words", lambda item: item["weights"].pop(), "other terms than directions"),
    "a term beyond": (
        *("words", lambda item: item["terms"].update(late=99_999)),
        "other terms than directions",
    ),
    "a mean more": ("mean", lambda item: item["null"].append(0.5), "means of different lengths"),
    "a scale less": ("date", lambda item: item["scaling"]["scale"].pop(), "scaled by other"),
    "another encoding": ("date", lambda item: item.update(encoding="moon"), "unknown encoding"),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_file_is_refused_when_it_is_read(damage: str) -> None:
    kind, change, words = DAMAGES[damage]
    values = read_preprocessing(fit("binary", "linear")[0], make_data("binary")).to_dict()
    values = json.loads(json.dumps(values))
    change(next(item for item in values["columns"] if item["kind"] == kind))
    with pytest.raises(ValueError, match=words):
        Preprocessing.from_dict(values)


def test_parity_holds_where_a_column_has_no_common_word_and_no_moment(
    parity: Callable[..., float],
) -> None:
    frame = make_frame("binary").copy()
    frame["note"] = pd.Series([f"w{at}" for at in range(ROWS)], dtype="str")
    frame.loc[20:, "hired"] = pd.NaT
    frame.loc[20:, "opened"] = "none"
    assert parity(frame, make_unseen("binary")) < 1e-9


@pytest.fixture
def parity() -> Callable[..., float]:
    """Return a function that fits on rows and returns the difference on other rows."""

    def measure(frame: pd.DataFrame, unseen: pd.DataFrame) -> float:
        data = make_data("binary")
        model = MODEL.validate_python({"kind": "hist_gradient_boosting", "iterations": 20})
        pipeline = fit_model("binary", model, data, frame, frame["y"])
        exported = ExportedModel(build_onnx_export(pipeline, data))
        evidence = measure_parity(
            predict(pipeline, unseen, data, "binary"), exported.predict(take_columns(unseen, data))
        )
        assert evidence.difference is not None
        assert not evidence.flips
        return evidence.difference

    return measure


@pytest.mark.parametrize("kind", list(SMALL))
def test_a_target_that_was_learned_as_a_logarithm_is_predicted_in_its_own_unit(
    tmp_path: Path, kind: str
) -> None:
    data, frame = make_data("regression"), make_frame("regression").copy()
    frame["y"] = np.exp(2 * frame["y"].clip(-2, 3))
    model = MODEL.validate_python({"kind": kind, "target_transform": "log", **SMALL[kind]})
    pipeline = fit_model("regression", model, data, frame, frame["y"])
    save_model(pipeline, tmp_path / "model.skops")
    save_export(build_onnx_export(pipeline, data), tmp_path / "serving")
    native = predict(load_model(tmp_path / "model.skops"), frame, data, "regression")
    served = load_export(tmp_path / "serving").predict(take_columns(frame, data))
    np.testing.assert_allclose(served.labels, native.labels, rtol=1e-12)
    errors = np.abs(np.log1p(native.labels.astype(float)) - np.log1p(frame["y"]))
    assert errors.mean() < np.abs(np.log1p(frame["y"]) - np.log1p(frame["y"]).mean()).mean()


def test_values_below_zero_have_no_logarithm() -> None:
    model = MODEL.validate_python({"kind": "linear", "target_transform": "log"})
    frame = make_frame("regression")
    with pytest.raises(TrainingImpossible, match=r"'y' has \d+ values below 0, which have no log"):
        fit_model("regression", model, make_data("regression"), frame, frame["y"])


def test_classes_have_no_logarithm() -> None:
    model = MODEL.validate_python({"kind": "linear", "target_transform": "log"})
    frame = make_frame("binary")
    with pytest.raises(
        ConfigInvalid, match=r"model\.target_transform is `log`, but the classes of"
    ):
        fit_model("binary", model, make_data("binary"), frame, frame["y"])
