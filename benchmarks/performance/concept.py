"""Windows of labelled rows with and without a change of concept, judged as in live traffic."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.results import Row
from benchmarks.performance.cases import Case
from sluice.drift.performance.figures import measure_loss, measure_metric, prepare_rows
from sluice.drift.performance.labelled import LabelledRows
from sluice.drift.performance.reference import PerformanceReference
from sluice.drift.performance.windows import judge_window
from sluice.stats.holdout import Holdout, Predictions

HELD_OUT = 7_200
MOST_ALARMS, LEAST_FOUND = 6, 18
SEEDS, WINDOWS = 20, 3
AT = datetime(2026, 1, 1, tzinfo=UTC)
Change = Callable[[Holdout, np.random.Generator], NDArray[Any]]
"""Takes rows; returns their outcomes after the change."""


@dataclass(frozen=True)
class Divided:
    """The rows of one trial: the figures of the held-out ones, and the live ones in an order."""

    reference: PerformanceReference
    live: NDArray[np.int64]


def divide(case: Case, random: np.random.Generator) -> Divided:
    """Divide a case's rows anew; at most half of them are held out."""
    order = random.permutation(len(case.frame))
    size = min(HELD_OUT, len(order) // 2)
    holdout, predictions = case.take(order[:size])
    problem, primary = case.config.problem, case.config.evaluation.primary
    scored = prepare_rows(problem, case.positive, holdout.y, predictions)
    reference = PerformanceReference(
        format=1,
        problem=problem,
        primary=primary,
        n=size,
        loss=measure_loss(scored),
        figures=(measure_metric(scored, primary),),
        classes=predictions.classes,
        positive=case.positive,
    )
    return Divided(reference, order[size:])


def judge(case: Case, reference: PerformanceReference, y: NDArray[Any], given: Predictions) -> bool:
    """Return whether a window alarms."""
    n = len(y)
    frame = case.frame.iloc[:0].reindex(range(n))
    rows = LabelledRows(y, given, frame[[]], ("",) * n, (AT,) * n, (AT,) * n)
    return bool(judge_window(case.config, reference, rows, 1).alarm)


def count_false_alarms(case: Case, windows: int) -> int:
    """Return how many windows without a change alarm; each has held-out rows of its own."""
    alarms, size = 0, case.config.performance.window
    for seed in range(windows):
        trial = divide(case, np.random.default_rng(seed))
        holdout, predictions = case.take(trial.live[:size])
        alarms += judge(case, trial.reference, holdout.y, predictions)
    return alarms


def count_found(case: Case, change: Change) -> tuple[int, float]:
    """Return in how many of 20 trials a change is found within three windows, and the mean window.

    The change begins with the first window. The mean is over the trials in which it is found.
    """
    found, size = [], case.config.performance.window
    for seed in range(SEEDS):
        random = np.random.default_rng(1_000_000 + seed)
        trial = divide(case, random)
        for window in range(WINDOWS):
            rows = trial.live[window * size : (window + 1) * size]
            holdout, predictions = case.take(rows)
            if judge(case, trial.reference, change(holdout, random), predictions):
                found.append(window + 1)
                break
    return len(found), float(np.mean(found)) if found else 0.0


def flip_labels(holdout: Holdout, random: np.random.Generator) -> NDArray[Any]:
    """Turn 15 % of the labels to the other class."""
    flipped = random.random(len(holdout.y)) < 0.15
    return np.where(flipped, 1 - holdout.y, holdout.y)


def lose_young_jobs(holdout: Holdout, random: np.random.Generator) -> NDArray[Any]:
    """Let three in five of the employed people under 35 lose their work: a youth recession."""
    lost = (holdout.frame["age"] < 35).to_numpy() & (random.random(len(holdout.y)) < 0.6)
    return np.where(lost, 0, holdout.y)


def close_airport(holdout: Holdout, random: np.random.Generator) -> NDArray[Any]:
    """Let two in five flights over 1,000 miles come late: a runway is closed."""
    late = (holdout.frame["miles"] > 1_000).to_numpy() & (random.random(len(holdout.y)) < 0.4)
    return np.where(late, "late", holdout.y)


def lower_earnings(holdout: Holdout, _random: np.random.Generator) -> NDArray[Any]:
    """Let workers who earned over 10,000 dollars in 1975 earn half: a recession."""
    many = (holdout.frame["earned_1975"] > 10_000).to_numpy()
    return np.where(many, 0.5 * holdout.y, holdout.y)


def lower_few_earnings(holdout: Holdout, _random: np.random.Generator) -> NDArray[Any]:
    """Let workers with ten years of school and fewer earn half: few, of whom little is expected."""
    few = (holdout.frame["years_of_school"] <= 10).to_numpy()
    return np.where(few, 0.5 * holdout.y, holdout.y)


CHANGES: dict[str, dict[str, Change]] = {
    "employment": {
        "15 % of labels flipped": flip_labels,
        "60 % of the employed under 35 lose their work": lose_young_jobs,
    },
    "arrivals": {"40 % of long flights come late": close_airport},
    "earnings": {
        "those who earned over 10,000 earn half": lower_earnings,
        "those of little school earn half": lower_few_earnings,
    },
}
WITHOUT_TARGET = "those of little school earn half"
"""A small change, which shows where the power of three windows ends."""


def measure_concept(case: Case, windows: int) -> list[Row]:
    """Measure false alarms and power of the rule on one case."""
    name = case.config.service
    alarms = count_false_alarms(case, windows)
    most = MOST_ALARMS * windows / 1_000
    rows = [Row(f"{name}: false alarms of {windows:,} windows", alarms, "", most)]
    for change, apply in CHANGES[name].items():
        found, first = count_found(case, apply)
        target = None if change == WITHOUT_TARGET else LEAST_FOUND
        words = f"{name}: {change}: found in 3 windows"
        rows.append(Row(words, found, f"of {SEEDS}", target, True))
        rows.append(Row(f"{name}: {change}: mean window", first, ""))
    return rows
