"""Predictions of known quality, and the evidence measured on them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.stats.comparison import EvaluationEvidence, measure_evaluation
from sluice.stats.holdout import Holdout, Predictions

ROWS = 1_200
CHANGES = {
    "binary": {},
    "multiclass": {"primary": "accuracy", "floors": {}, "calibration": None},
    "regression": {"primary": "mae", "floors": {}, "calibration": None},
}


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A configuration, held-out rows, two models' predictions and the evidence."""

    config: ServiceConfig
    holdout: Holdout
    candidate: Predictions
    champion: Predictions
    evidence: EvaluationEvidence


def draw_predictions(problem: str, y: np.ndarray, noise: float, seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    if problem == "regression":
        return Predictions(y + rng.normal(0.0, noise, len(y)))
    if problem == "binary":
        scores = 1.0 / (1.0 + np.exp(-(2.0 * (2 * y - 1) + rng.normal(0.0, 4 * noise, len(y)))))
        return Predictions((scores >= 0.5).astype(int), scores, (0, 1))
    classes = np.array(["low", "middle", "high"], dtype=object)
    raw = (y[:, None] == classes[None, :]) + rng.uniform(0.0, 2 * noise, (len(y), 3))
    scores = raw / raw.sum(axis=1, keepdims=True)
    return Predictions(classes[scores.argmax(axis=1)], scores, tuple(classes.tolist()))


def evaluate_problem(problem: str, rows: int = ROWS) -> Evaluated:
    config = load_service("employment", "development")
    evaluation = {**config.evaluation.model_dump(), **CHANGES[problem], "draws": 200}
    values = {**config.model_dump(), "problem": problem, "evaluation": evaluation}
    config = ServiceConfig.model_validate(values)
    rng = np.random.default_rng(4)
    number = rng.integers(0, 3, rows)
    targets = {
        "binary": (number > 0).astype(int),
        "multiclass": np.array(["low", "middle", "high"], dtype=object)[number],
        "regression": 1_000.0 * number + rng.normal(0.0, 50.0, rows),
    }
    frame = pd.DataFrame(
        {
            "sex": rng.choice(["female", "male"], rows),
            "race": rng.choice(["white", "black", "other"], rows, p=[0.7, 0.25, 0.05]),
            "education": rng.choice(["bachelor", "master"], rows),
        }
    )
    noise = 120.0 if problem == "regression" else 0.8
    y = targets[problem]
    holdout = Holdout(y, frame)
    models = [
        draw_predictions(problem, y, noise * factor, seed) for factor, seed in ((1.0, 1), (1.1, 2))
    ]
    evidence = measure_evaluation(config.evaluation, problem, 1, holdout, *models)
    return Evaluated(config, holdout, models[0], models[1], evidence)


@pytest.fixture
def evaluated() -> Callable[..., Evaluated]:
    """Return a function that makes a problem's predictions and evidence."""
    return evaluate_problem
