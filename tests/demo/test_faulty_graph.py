"""A fault in a graph affects its share of rows, and no other row."""

import time
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import Ridge

from demo.faulty import ModelFault, mark_rows, plant_fault
from sluice.models.export.graph import NUMBERS, SCORES, build_graph

ROWS, COLUMNS = 400, 5
SHARE = 0.3


@cache
def make_numbers() -> Any:
    numbers = np.random.default_rng(4).normal(size=(ROWS, COLUMNS))
    numbers[::9, 2] = np.nan
    return numbers


@cache
def make_graph(problem: str) -> bytes:
    numbers = make_numbers()
    if problem == "regression":
        filled = np.nan_to_num(numbers)
        return build_graph(Ridge().fit(filled, filled @ np.arange(COLUMNS)), COLUMNS, ())
    classes = np.digitize(numbers[:, 0], [0.0] if problem == "binary" else [-0.5, 0.5])
    learner: Any = HistGradientBoostingClassifier(max_iter=5, random_state=0)
    if problem == "forest":
        learner = RandomForestClassifier(5, random_state=0)
    return build_graph(learner.fit(numbers, classes), COLUMNS, ())


def run(graph: bytes, numbers: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(graph, options)
    return session.run([SCORES], {NUMBERS: numbers})[0]


@pytest.mark.parametrize("problem", ["binary", "multiclass", "forest", "regression"])
@pytest.mark.parametrize("kind", ["errors", "latency", "nan", "flipped"])
def test_rows_without_the_fault_keep_their_scores_bit_for_bit(problem: str, kind: Any) -> None:
    numbers, graph = make_numbers(), make_graph(problem)
    fault = ModelFault(kind, SHARE, seed=2, milliseconds=1)
    healthy = numbers[~mark_rows(numbers, fault)]
    assert np.array_equal(run(plant_fault(graph, fault), healthy), run(graph, healthy), True)


@pytest.mark.parametrize("seed", [1, 2])
def test_its_share_of_rows_meets_the_fault_and_a_seed_chooses_them(seed: int) -> None:
    numbers, graph = make_numbers(), make_graph("binary")
    fault = ModelFault("nan", SHARE, seed=seed)
    marked = mark_rows(numbers, fault)
    found = np.isnan(run(plant_fault(graph, fault), numbers)[:, 0])
    assert np.array_equal(found, marked)
    assert abs(marked.mean() - SHARE) < 0.08
    assert not np.array_equal(marked, mark_rows(numbers, ModelFault("nan", SHARE, seed=seed + 2)))


def test_whole_share_means_every_row() -> None:
    assert mark_rows(make_numbers(), ModelFault("nan")).all()


def test_errors_are_raised_where_one_row_of_a_call_is_marked() -> None:
    numbers, fault = make_numbers(), ModelFault("errors", SHARE)
    graph = plant_fault(make_graph("binary"), fault)
    place = int(np.argmax(mark_rows(numbers, fault)))
    with pytest.raises(Exception, match="out of data bounds"):
        run(graph, numbers[max(place - 3, 0) : place + 1])


@pytest.mark.parametrize("problem", ["binary", "multiclass", "forest", "regression"])
def test_flipped_predictions_are_the_opposite(problem: str) -> None:
    numbers, graph = make_numbers(), make_graph(problem)
    before, after = run(graph, numbers), run(plant_fault(graph, ModelFault("flipped")), numbers)
    opposite = -before if before.shape[1] == 1 else before[:, ::-1]
    assert np.array_equal(after, opposite, True)


def test_latency_is_about_what_was_configured() -> None:
    numbers = make_numbers()
    graph = plant_fault(make_graph("binary"), ModelFault("latency", milliseconds=30))
    durations = []
    for _ in range(5):
        started = time.perf_counter()
        run(graph, numbers[:1])
        durations.append(time.perf_counter() - started)
    assert min(durations) > 0.015


@pytest.mark.parametrize("values", [{"share": 0.0}, {"share": 1.5}, {"milliseconds": 0.0}])
def test_an_invalid_fault_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=r"found .*; allowed"):
        ModelFault("nan", **values)
