"""The forecast of a policy is simulated."""

import pytest

from demo.forecast import RUNS, describe_traffic, forecast, show_forecast
from sluice.config.loading import load_policy

pytestmark = pytest.mark.slow  # whole rollouts are simulated

LAPTOP = load_policy("laptop")
TRAFFIC = describe_traffic(200.0, 0.75, 0.2)


def test_equal_candidates_are_promoted_and_bad_ones_rolled_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chances = {one.candidate: one for one in forecast(LAPTOP, TRAFFIC, runs=20)}
    assert chances["equals the champion"].promoted >= 0.95
    assert chances["+4 points of errors"].rolled_back >= 0.95
    assert chances["takes 3 times as long"].rolled_back >= 0.95
    assert chances["1.7 times the complaints"].rolled_back >= 0.8
    assert chances["1.2 times the complaints"].rolled_back <= 0.1
    show_forecast(LAPTOP, TRAFFIC, list(chances.values()))
    output = capsys.readouterr().out
    assert f"policy laptop can and cannot detect at 200 requests/s: {RUNS} simulated" in output
    assert all(name in output for name in chances)


def test_faults_follow_the_policys_limits() -> None:
    rules = LAPTOP.rules.model_copy(
        update={"error_margin": LAPTOP.rules.error_margin.model_copy(update={"margin": 0.05})}
    )
    found = [
        one.candidate for one in forecast(LAPTOP.model_copy(update={"rules": rules}), TRAFFIC, 2)
    ]
    assert found[1:3] == ["+2.5 points of errors", "+10 points of errors"]
