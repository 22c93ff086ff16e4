"""Verdicts by influence functions beside those by 2,000 draws, on simulated candidates.

`python -m benchmarks.influence [--cases 200] [--rows 6000] [--large 8]`. The cases have fewer rows
than influence functions are used for, which is harder for them; `--large` of them have 60,000.
Each candidate lies near a limit: against the champion, a floor or a slice's margin.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.results import Row, report
from cli.output import say
from sluice.config.evaluation import EvaluationConfig
from sluice.config.model import Problem
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.stats import variation
from sluice.stats.comparison import EvaluationEvidence
from sluice.stats.holdout import Predictions
from sluice.verdict import Check, Verdict

PROBLEMS: tuple[Problem, ...] = ("binary", "multiclass", "regression")
PRIMARY: dict[Problem, tuple[str, ...]] = {
    "binary": ("auc", "average_precision", "log_loss", "f1"),
    "multiclass": ("accuracy", "macro_f1", "auc_ovr"),
    "regression": ("rmse", "mae", "r2"),
}
SAME_OF_200, NEAR = 194, 0.15
LARGE_ROWS = 60_000
CLASSES = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Comparison:
    """One case judged twice.

    `apart` is the largest distance, in standard errors, from a bound that changed its check's
    outcome to the limit: 0 where every outcome is the same.
    """

    same: bool
    apart: float
    outcome: str
    grouped: bool
    problem: Problem


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--rows", type=int, default=6_000)
    parser.add_argument("--large", type=int, default=8)
    arguments = parser.parse_args()
    large = range(arguments.cases - arguments.large, arguments.cases)
    found = []
    for case in range(arguments.cases):
        found.append(compare_case(case, LARGE_ROWS if case in large else arguments.rows))
        if case % 20 == 19:
            say(f"### {case + 1} of {arguments.cases}: {sum(one.same for one in found)} the same")
    target = round(SAME_OF_200 * arguments.cases / 200)
    others = [one.apart for one in found if not one.same]
    outcomes = {name: sum(one.outcome == name for one in found) for name in ("pass", "fail")}
    rows = [
        Row("cases with the same verdict", sum(one.same for one in found), "", target, True),
        Row("largest distance of the others", max(others, default=0.0), "standard errors", NEAR),
        *(Row(f"verdicts by draws: {name}", count, "") for name, count in outcomes.items()),
        Row("cases with groups", sum(one.grouped for one in found), ""),
    ]
    report("influence", rows, {"cases": arguments.cases, "rows of a case": arguments.rows})


def compare_case(case: int, rows: int) -> Comparison:
    """Judge one simulated candidate by draws and by influence functions."""
    random = np.random.default_rng(case)
    problem = PROBLEMS[case % 3]
    primary = PRIMARY[problem][case // 3 % len(PRIMARY[problem])]
    group = "home" if case % 2 else ""
    holdout, champion, candidate = make_case(problem, random, rows)
    config = EvaluationConfig.model_validate(
        {"primary": primary, "group": group, "seed": case, "slices": {"columns": ["part"]}}
    )

    def measure() -> EvaluationEvidence:
        y = holdout.y
        return measure_evaluation(config, problem, 1, holdout, candidate, champion, training=y)

    with use_limit(rows):
        drawn = measure()
    config = place_limits(config, drawn, random)
    with use_limit(0):
        linear = measure()
    first, second = (EvaluationGate(config).judge(one) for one in (drawn, linear))
    apart = max(_list_distances(first, second), default=0.0)
    same = first.outcome is second.outcome
    return Comparison(same, apart, first.outcome.value, bool(group), problem)


@contextmanager
def use_limit(rows: int) -> Iterator[None]:
    """Use influence functions above so many rows only."""
    before, variation.LARGE = variation.LARGE, rows
    try:
        yield
    finally:
        variation.LARGE = before


def make_case(
    problem: Problem, random: np.random.Generator, rows: int
) -> tuple[Holdout, Predictions, Predictions]:
    """Return held-out rows, a champion, and a candidate that is a little worse or better."""
    import pandas as pd

    homes = np.repeat(np.arange(rows), random.integers(1, 6, rows))[:rows]
    shared = random.normal(0, 0.5, rows)[homes]
    frame = pd.DataFrame({"home": homes, "part": random.choice(["x", "y"], rows, p=[0.9, 0.1])})
    noises = [random.normal(0, 1, rows) for _ in range(2)]
    weight = random.uniform(0.0, 0.4)
    mixed = noises[0] * np.sqrt(1 - weight**2) + noises[1] * weight
    if problem == "regression":
        y = 50 + 10 * random.normal(size=rows)
        errors = [6 * (noise + shared) for noise in (noises[0], mixed)]
        first, second = (Predictions(y + error) for error in errors)
        return Holdout(y, frame), first, second
    if problem == "binary":
        y = (random.random(rows) < random.choice([0.05, 0.3])).astype(int)
        first, second = (_score_two(y, noise + shared) for noise in (noises[0], mixed))
        return Holdout(y, frame), first, second
    place = random.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])
    wide = random.normal(0, 1, (rows, 4))
    first, second = (_score_classes(place, wide, noise, shared) for noise in (noises[0], mixed))
    return Holdout(np.array(CLASSES, dtype=object)[place], frame), first, second


def _score_two(y: NDArray[Any], noise: NDArray[np.float64]) -> Predictions:
    scores = (1 / (1 + np.exp(-(1.8 * y - 1.2 + noise)))).round(3)
    return Predictions((scores >= 0.5).astype(int), scores)


def _score_classes(
    place: NDArray[Any], wide: NDArray[np.float64], noise: NDArray[np.float64], shared: Any
) -> Predictions:
    raw = np.exp(1.5 * np.eye(4)[place] + wide + np.outer(noise + shared, [1, -1, 0.5, -0.5]))
    scores = raw / raw.sum(axis=1, keepdims=True)
    return Predictions(np.array(CLASSES, dtype=object)[scores.argmax(axis=1)], scores, CLASSES)


def place_limits(
    config: EvaluationConfig, evidence: EvaluationEvidence, random: np.random.Generator
) -> EvaluationConfig:
    """Return limits within three standard errors of the figures, so that all outcomes occur."""
    figure = evidence.find_metric(config.primary)
    assert figure is not None
    assert figure.difference is not None
    error, value = figure.difference.error or 0.0, figure.difference.value or 0.0
    margin = max(-value + random.uniform(-3, 3) * error, error / 10)
    floor = (figure.candidate.value or 0.0) + random.uniform(-3, 3) * (figure.candidate.error or 0)
    return config.model_copy(
        update={
            "margin": margin,
            "floors": {config.primary: floor} if random.random() < 0.5 else {},
        }
    )


def _list_distances(first: Verdict, second: Verdict) -> Iterator[float]:
    for one, other in zip(first.checks, second.checks, strict=True):
        if one.outcome is not other.outcome:
            yield max(_distance(one), _distance(other))


def _distance(check: Check) -> float:
    """Return the distance of the nearer bound from the limit, in standard errors."""
    if check.interval is None or check.limit is None:
        return float("inf")
    error = (check.interval[1] - check.interval[0]) / (2 * 1.6449)
    return min(abs(bound - check.limit) for bound in check.interval) / error


if __name__ == "__main__":
    main()
