"""The figures of an analysis beside those of GrowthBook's gbstats, in an environment of its own."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.results import Row
from sluice.home import PROJECT
from sluice.stats.experiments.covariate import adjust_values
from sluice.stats.experiments.means import (
    MeanComparison,
    UnitEstimate,
    compare_estimates,
    estimate_mean,
    estimate_ratio,
)
from sluice.stats.experiments.sequential import bound_sequence

PYTHON = PROJECT / ".venv-gbstats" / "bin" / "python"
SCRIPT = PROJECT / "benchmarks" / "experiments" / "gbstats_figures.py"
UNITS, SHARE, SEED = 3_000, 0.3, 20_261_204
MOST_APART = 1e-9
"""Largest relative difference of two figures that are the same."""
MOST_BY_THETA = 1e-3
"""The same where theta differs: theirs is taken over all units, ours within the arms."""
Figures = dict[str, float]


def compare_with_gbstats() -> Iterator[Row]:
    """Compare means, ratios and CUPED, each as a fixed test and at a look.

    A ratio is judged by the normal distribution here and by Student's there, so its p-value and
    interval are compared at a look only, where both take the same.
    """
    units = draw_units(np.random.default_rng(SEED))
    theirs = _run_gbstats(units)
    arm, value = units["arm"].to_numpy(), units["value"].to_numpy()
    before = units["before"].to_numpy()
    pooled, within = (adjust_values(value, before, arms).values for arms in (None, arm * 1.0))
    counts = units["count"].to_numpy()
    inside = [arm == one for one in (0, 1)]
    pairs = {
        "mean": [estimate_mean(value[one]) for one in inside],
        "ratio": [estimate_ratio(value[one], counts[one]) for one in inside],
        "cuped": [estimate_mean(pooled[one]) for one in inside],
    }
    for name, (a, b) in pairs.items():
        fixed = compare_estimates(a, b, 0.05, "delta" if name == "ratio" else "welch")
        keys = ("difference", "error") if name == "ratio" else tuple(theirs[f"{name} fixed"])
        gap = _measure(_read(fixed, a, b), theirs[f"{name} fixed"], keys)
        yield Row(f"gbstats, {name}: {', '.join(keys)}, relative", gap, "", MOST_APART)
        bounds = bound_sequence(a, b, 0.05, UNITS)
        assert bounds is not None
        looked = {"low": bounds[0], "high": bounds[1]}
        gap = _measure(looked, theirs[f"{name} sequential"], ("low", "high"))
        yield Row(f"gbstats, {name} at a look: interval, relative", gap, "", MOST_APART)
    a, b = (estimate_mean(within[one]) for one in inside)
    ours = _read(compare_estimates(a, b, 0.05), a, b)
    gap = _measure(ours, theirs["cuped fixed"], ("difference", "error"))
    name = "gbstats, cuped with theta within the arms: difference, error, relative"
    yield Row(name, gap, "", MOST_BY_THETA)


def draw_units(rng: np.random.Generator) -> pd.DataFrame:
    """Draw units with a true effect, of whom few have most requests, and their time before."""
    count = np.minimum(np.ceil(rng.pareto(1.5, UNITS) + 1), 200)
    arm = (rng.random(UNITS) < SHARE).astype(int)
    liking = rng.normal(3, 1, UNITS)
    value = count * (liking + 0.1 * arm) + rng.normal(0, 1, UNITS)
    before = count * liking * 0.8 + rng.normal(0, 2, UNITS)
    return pd.DataFrame({"arm": arm, "value": value, "count": count, "before": before})


def _run_gbstats(units: pd.DataFrame) -> dict[str, Figures]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "units.csv"
        units.to_csv(file, index=False, float_format="%.17g")
        command = [str(PYTHON), str(SCRIPT), str(file), str(UNITS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"gbstats: {done.stderr[-2000:]}; next: make bench-experiments")
    found: dict[str, Figures] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _read(found: MeanComparison, a: UnitEstimate, b: UnitEstimate) -> Figures:
    return {
        "difference": found.difference,
        "error": sqrt(a.variance + b.variance),
        "p": found.p_value,
        "low": found.low,
        "high": found.high,
    }


def _measure(ours: Figures, theirs: Figures, keys: tuple[str, ...]) -> float:
    """Return the largest relative difference of the figures named."""
    return max(abs(ours[key] - theirs[key]) / abs(theirs[key]) for key in keys)
