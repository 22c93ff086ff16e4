"""Which limit a figure is shown with, where the gate has one on each side."""

import pytest

from sluice.config.bias import BiasConfig
from sluice.gates.bias import BiasEvidence, BiasGate
from sluice.stats.bootstrap import Estimate
from sluice.stats.fairness import FairnessFigure

GATE = BiasGate(BiasConfig(sensitive=("sex",)))


@pytest.mark.parametrize(
    ("value", "limit", "relation"),
    [(0.05, 0.15, "<="), (-0.05, -0.15, ">="), (0.0, -0.15, ">=")],
)
def test_a_difference_is_shown_with_the_limit_on_its_own_side(
    value: float, limit: float, relation: str
) -> None:
    estimate = Estimate(value, value - 0.02, value + 0.02, 900, 0.01)
    figure = FairnessFigure("false_positive_difference", "sex=female", False, estimate, 0.1, 0.1)
    verdict = GATE.judge(BiasEvidence("binary", 2_000, ("sex",), figures=(figure,)))
    (check,) = verdict.checks
    assert verdict.passed
    assert (check.limit, check.relation) == (limit, relation)
