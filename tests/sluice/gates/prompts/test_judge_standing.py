"""A judge gates only where its agreement with people is proved."""

import pytest

from sluice.gates.prompts.judge import decide_standing
from sluice.stats.bootstrap import Estimate


@pytest.mark.parametrize(
    ("low", "n", "gates", "reason"),
    [
        (0.60, 100, True, "is proved"),
        (0.599, 100, False, "is not proved"),
        (0.95, 99, False, "too few labels"),
        (None, 200, False, "is not proved"),
    ],
)
def test_standing(low: float | None, n: int, gates: bool, reason: str) -> None:
    found = decide_standing(Estimate(0.8, low, None if low is None else 0.99, n))
    assert found.gates is gates
    assert reason in found.reason
    assert f"on {n} labels" in found.reason
