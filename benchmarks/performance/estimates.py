"""Estimates of performance beside the real figures of the same rows."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.results import Row
from benchmarks.performance.cases import Case
from sluice.drift.performance.figures import measure_metric, prepare_rows
from sluice.drift.performance.live import estimate_performance
from sluice.drift.performance.reference import PerformanceReference, build_reference

HELD_OUT = {"employment": 7_200, "arrivals": 7_200, "earnings": 4_000}
WINDOW = {"employment": 5_000, "arrivals": 5_000, "earnings": 1_000}
MOST_ERROR = 0.01
MOST_ERRORS = 3.0
"""Standard errors of both samples within which each estimate lies."""
GROUPS: dict[str, Callable[[Case], NDArray[np.bool_]]] = {
    "under 25": lambda case: (case.frame["age"] < 25).to_numpy(),
    "45 and over": lambda case: (case.frame["age"] >= 45).to_numpy(),
    "8 years of school and fewer": lambda case: (case.frame["years_of_school"] <= 8).to_numpy(),
    "earned over 20,000 in 1975": lambda case: (case.frame["earned_1975"] > 20_000).to_numpy(),
}
METRIC = {"binary": "accuracy", "multiclass": "accuracy", "regression": "mae"}


def estimate(
    case: Case, reference: PerformanceReference, rows: NDArray[np.int64], metric: str
) -> tuple[float, float, float]:
    """Return the real figure of some rows, its estimate, and the estimate's standard error."""
    holdout, predictions = case.take(rows)
    scored = prepare_rows(case.config.problem, case.positive, holdout.y, predictions)
    real = measure_metric(scored, metric)
    found = estimate_performance(case.config, reference, predictions, holdout.frame)
    figure = next(one for one in found.figures if one.name == metric)
    assert real.value is not None
    assert figure.value is not None
    assert figure.error is not None
    return real.value, figure.value, figure.error


def measure_estimates(case: Case, trials: int) -> list[Row]:
    """Measure the estimates of rows without drift, each trial with held-out rows of its own."""
    name, metric = case.config.service, METRIC[case.config.problem]
    held, size = HELD_OUT[name], WINDOW[name]
    errors, deviations = [], []
    for seed in range(trials):
        order = np.random.default_rng(seed).permutation(len(case.frame))
        reference = build_reference(case.config, *case.take(order[:held]))
        real, guess, error = estimate(case, reference, order[held : held + size], metric)
        errors.append(abs(guess - real))
        deviations.append((guess - real) / error)
    words = f"{name}: {metric} of {size:,} rows, {trials} trials"
    target = MOST_ERROR if metric == "accuracy" else None
    z = np.array(deviations)
    return [
        Row(f"{words}: mean error", float(np.mean(errors)), "", target),
        Row(f"{words}: largest", float(np.abs(z).max()), "standard errors", MOST_ERRORS),
        Row(f"{words}: mean deviation", float(z.mean()), "standard errors"),
        Row(f"{words}: spread of deviations", float(z.std(ddof=1)), "standard errors"),
    ]


def measure_groups(case: Case) -> list[Row]:
    """Measure whether the estimate of a group is nearer to its real error than the constant is."""
    order = np.random.default_rng(0).permutation(len(case.frame))
    held = HELD_OUT[case.config.service]
    reference = build_reference(case.config, *case.take(order[:held]))
    constant = reference.find_figure("mae")
    assert constant is not None
    assert constant.value is not None
    rows, nearer = [], 0
    for group, choose in GROUPS.items():
        live = order[held:][choose(case)[order[held:]]]
        real, guess, _ = estimate(case, reference, live, "mae")
        nearer += abs(guess - real) < abs(constant.value - real)
        rows += [
            Row(f"earnings, {group} (n {len(live):,}): real mae", real, "dollars"),
            Row(f"earnings, {group}: estimated", guess, "dollars"),
        ]
    rows.append(Row("earnings: the constant guess", constant.value, "dollars"))
    rows.append(Row("earnings: groups nearer than it", nearer, "of 4", 4, True))
    return rows
