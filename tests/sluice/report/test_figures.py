"""The registry's metrics have names of one form, and an error's change has its own sign."""

import re

from sluice.config.evaluation import EvaluationConfig
from sluice.home import PROJECT
from sluice.report.figures import (
    name_bias_figures,
    name_evaluation_figures,
    name_primary_figures,
)
from sluice.stats.bias import BiasEvidence, FairnessSummary
from sluice.stats.bootstrap import Estimate
from sluice.stats.comparison import EvaluationEvidence, MetricFigure, OlderRows
from sluice.stats.fairness import FairnessFigure

FORM = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){1,2}")


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 1, value + 1, 400)


def measure() -> dict[str, float]:
    """Name the figures of an error that rose by 2 and a score that rose by 3."""
    rmse = MetricFigure("rmse", False, estimate(9), estimate(7), estimate(-2))
    r2 = MetricFigure("r2", True, estimate(8), estimate(5), estimate(3))
    evidence = EvaluationEvidence(
        "regression", "rmse", 400, 400, True, metrics=(rmse, r2), gap=estimate(0)
    )
    config = EvaluationConfig(primary="rmse", margin=1.0, floors={"rmse": 10.0})
    return {**name_evaluation_figures(evidence), **name_primary_figures(config, evidence)}


def test_difference_is_candidate_minus_champion() -> None:
    found = measure()
    for name in ("rmse", "r2"):
        expected = found[f"candidate/{name}"] - found[f"champion/{name}"]
        assert found[f"difference/{name}"] == expected


def test_names_have_one_form() -> None:
    group = FairnessFigure("selection_ratio", "sex=female, race=two or more", True, estimate(0.9))
    summary = FairnessSummary("sex and race", "equalized odds", 0.1)
    bias = BiasEvidence("binary", 400, columns=("sex",), figures=(group,), summaries=(summary,))
    names = {**measure(), **name_bias_figures(bias)}
    assert "fairness/selection_ratio/sex_female_race_two_or_more" in names
    assert [name for name in names if not FORM.fullmatch(name)] == []
    written = re.findall(
        r"metrics=\{([^}]*)\}", (PROJECT / "tasks/release/training.py").read_text("utf-8")
    )
    literal = re.findall(r'"([^"]+)":', "".join(written))
    assert literal
    assert [name for name in literal if not FORM.fullmatch(name)] == []


def test_older_rows_have_figures_of_their_own() -> None:
    auc = MetricFigure("auc", True, estimate(0.8), estimate(0.7))
    older = OlderRows("90 d", "2026-01-01", 300, (auc,))
    evidence = EvaluationEvidence("binary", "auc", 400, 400, True, older=older)
    assert name_evaluation_figures(evidence) == {
        "evaluation/rows": 400.0,
        "older/rows": 300.0,
        "older/candidate/auc": 0.8,
        "older/champion/auc": 0.7,
    }
