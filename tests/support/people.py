"""Simulated people with calibrated scores: a service's held-out rows and its labelled answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from sluice.drift.performance.labelled import LabelledRows
from sluice.stats.holdout import Holdout, Predictions

AT = datetime(2026, 1, 1, tzinfo=UTC)


def draw_people(n: int, seed: int, flipped: float = 0.0) -> tuple[Holdout, Predictions]:
    """Draw people with calibrated scores; a share of the labels of men is flipped."""
    random = np.random.default_rng(seed)
    scores = random.beta(2.0, 1.2, n)
    y = (random.random(n) < scores).astype(int)
    sex = random.choice(["female", "male"], n)
    wrong = (sex == "male") & (random.random(n) < flipped)
    frame = pd.DataFrame({"sex": sex, "age": random.integers(18, 70, n)})
    given = Predictions((scores >= 0.5).astype(int), scores, (0, 1))
    return Holdout(np.where(wrong, 1 - y, y), frame), given


def make_rows(n: int, seed: int, flipped: float = 0.0) -> LabelledRows:
    """Make labelled answers, one a second."""
    holdout, predictions = draw_people(n, seed, flipped)
    times = tuple(AT + timedelta(seconds=place) for place in range(n))
    ids = tuple(f"r{place}" for place in range(n))
    return LabelledRows(holdout.y, predictions, holdout.frame, ids, times, times)


def finite(value: Any) -> bool:
    """Return whether no number within a document is NaN or infinite."""
    if isinstance(value, dict | list):
        return all(finite(one) for one in (value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or bool(np.isfinite(value))
