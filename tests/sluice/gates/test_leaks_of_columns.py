"""A leak of two columns, each harmless alone, is a question; honest easy data has a way on."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from sluice.config.data import DataConfig
from sluice.config.evaluation import EvaluationConfig, Plausibility
from sluice.config.model import HistGradientBoosting, Linear, ModelConfig, Problem
from sluice.data.leakage import estimate_power
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.models.prediction import predict
from sluice.models.training import fit_model
from sluice.verdict import Outcome, Verdict

CASE = Path(__file__).parents[2] / "cases" / "21_leak_of_two_columns.csv"
LINEAR = Linear(kind="linear", max_iterations=5_000)
TREES = HistGradientBoosting(kind="hist_gradient_boosting", learning_rate=0.05, max_leaves=8)


def describe(frame: pd.DataFrame, target: str, features: list[str], positive: Any) -> DataConfig:
    kinds = {"i": "integer", "f": "number", "b": "boolean"}
    columns: Any = {name: kinds.get(frame[name].dtype.kind, "text") for name in frame.columns}
    return DataConfig(
        id="id", target=target, positive=positive, columns=columns, features=tuple(features),
        suite="none",
    )  # fmt: skip


def judge(
    frame: pd.DataFrame, data: DataConfig, problem: Problem, model: ModelConfig, accepted: str = ""
) -> Verdict:
    held_out = np.random.default_rng(1).random(len(frame)) < 0.3
    training, test = frame[~held_out], frame[held_out].reset_index(drop=True)
    target = training[data.target]
    fitted = fit_model(problem, model, data, training, target)
    primary = "auc" if problem == "binary" else "accuracy"
    limits = EvaluationConfig(primary=primary, plausibility=Plausibility(accepted=accepted))
    evidence = measure_evaluation(
        limits,
        problem,
        data.positive,
        Holdout(test[data.target].to_numpy(), test),
        predict(fitted, test, data, problem),
        None,
        training=target.to_numpy(),
    )
    return EvaluationGate(limits).judge(evidence)


@pytest.fixture(scope="module")
def late() -> pd.DataFrame:
    return pd.read_csv(CASE)


@pytest.mark.parametrize("model", [LINEAR, TREES])
def test_two_columns_whose_difference_is_the_answer_are_asked_about(
    late: pd.DataFrame, model: ModelConfig
) -> None:
    features = ["planned_min", "actual_min", "carrier"]
    verdict = judge(late, describe(late, "late", features, "yes"), "binary", model)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.asks_person
    assert verdict.reason.startswith("auc ")


def test_neither_column_leaks_alone(late: pd.DataFrame) -> None:
    for name in ("planned_min", "actual_min"):
        found = estimate_power(late[name], late["late"], "binary")
        assert found is not None
        assert found[0] < 0.9


def test_without_the_leak_nothing_is_asked(late: pd.DataFrame) -> None:
    data = describe(late, "late", ["planned_min", "carrier"], "yes")
    verdict = judge(late, data, "binary", LINEAR)
    assert not verdict.asks_person


@pytest.mark.parametrize("name", ["iris", "digits", "breast_cancer"])
def test_easy_honest_data_passes_or_says_the_way_on(name: str) -> None:
    loaded = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = loaded.frame.assign(id=np.arange(len(loaded.frame)))
    features = [column for column in frame.columns if column not in ("id", "target")]
    if name == "iris":  # its 150 rows are too few for the gate: each three times
        frame = pd.concat([frame] * 3, ignore_index=True)
    frame["target"] = "class " + frame["target"].astype(str)
    problem: Problem = "binary" if name == "breast_cancer" else "multiclass"
    data = describe(frame, "target", features, "class 1")
    verdict = judge(frame, data, problem, LINEAR)
    if verdict.outcome is not Outcome.PASS:
        assert verdict.asks_person, verdict.message
        assert "evaluation.plausibility.accepted" in verdict.next_step
    accepted = judge(frame, data, problem, LINEAR, accepted="measured by hand, before the class")
    assert accepted.passed, accepted.message
