"""The estimates of NannyML on the employment data beside ours, from an environment of its own."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness.results import Row
from benchmarks.performance.cases import Case
from sluice.drift.performance.live import estimate_performance
from sluice.drift.performance.reference import build_reference
from sluice.home import PROJECT
from sluice.stats.holdout import Predictions

PYTHON = PROJECT / ".venv-peer" / "bin" / "python"
SCRIPT = PROJECT / "benchmarks" / "performance" / "nannyml_estimates.py"
CHUNK = 5_000
HELD_OUT = 7_200
METRICS = {"accuracy": "accuracy", "f1": "f1", "auc": "roc_auc"}
MOST_APART = 1e-6


def compare_with_nannyml(case: Case) -> list[Row]:
    """Compare the estimates of several chunks; the figures must be the same.

    NannyML calibrates where its own test says so. Squared scores, which are not calibrated, make
    it do so; ours always does.
    """
    given = case.predictions
    assert given.scores is not None
    squared = Case(
        case.config, case.frame, Predictions(given.labels, given.scores**2, given.classes)
    )
    order = np.random.default_rng(0).permutation(len(case.frame))
    theirs = _run_nannyml(squared, order)
    reference = build_reference(case.config, *squared.take(order[:HELD_OUT]))
    rows = [Row("NannyML calibrates squared scores", float(theirs["calibrates"]), "", 1, True)]
    for ours, name in METRICS.items():
        apart = []
        for chunk, value in enumerate(theirs[name]):
            start = HELD_OUT + chunk * CHUNK
            _, predictions = squared.take(order[start : start + CHUNK])
            found = estimate_performance(case.config, reference, predictions)
            figure = next(one for one in found.figures if one.name == ours)
            assert figure.value is not None
            apart.append(abs(figure.value - value))
        words = f"NannyML: {ours} of {len(apart)} chunks: largest difference"
        rows.append(Row(words, max(apart), "", MOST_APART))
    return rows


def _run_nannyml(case: Case, order: Any) -> dict[str, Any]:
    scores = case.predictions.scores
    assert scores is not None
    table = pd.DataFrame(
        {
            "score": scores[order],
            "predicted": case.predictions.labels[order].astype(int),
            "actual": case.y[order].astype(int),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        table.to_csv(file, index=False, float_format="%.17g")
        command = [str(PYTHON), str(SCRIPT), str(file), str(HELD_OUT), str(CHUNK)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"NannyML: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
