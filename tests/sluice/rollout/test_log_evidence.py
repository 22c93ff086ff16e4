"""What the decision log says of each test: its evidence beside its threshold."""

from math import log

import numpy as np
import pytest

from sluice.config.policy import Policy
from sluice.rollout.log import describe_tests
from sluice.rollout.rules import list_rules
from sluice.rollout.state import Phase, RolloutState
from support.rollouts.counts import LAPTOP, begin, drive

STARTS_AT = 11
"""Half of the shadow's twenty blocks, and one: the pass tests begin there."""
UNSEEN = ("feedback", "cost")
"""Rules of which the traffic has no figure: their tests never begin."""


def states_of(policy: Policy = LAPTOP) -> list[RolloutState]:
    """Give a healthy rollout's states up to the last one of its shadow."""
    found: list[RolloutState] = []
    for item in drive(begin(), np.random.default_rng(0), ticks=400):
        if item.state.phase is not Phase.SHADOW:
            return found
        found.append(item.state)
    raise AssertionError("the shadow never ended")


def test_every_rule_is_described_by_its_wealth_rate_and_limit() -> None:
    state = states_of()[-1]
    found = describe_tests(state, LAPTOP)
    assert list(found) == [rule.name for rule in list_rules(LAPTOP)]
    for rule in list_rules(LAPTOP):
        item = state.observation.evidence[rule.name]
        rate = float(item.history.rate)
        assert found[rule.name] == {
            "wealth": pytest.approx(float(item.rollback.log_wealth)),
            "threshold": rule.threshold,
            "rate": pytest.approx(rate),
            "limit": pytest.approx(rule.boundary.ratio * rate + rule.boundary.margin),
            "pass": None if rule.name in UNSEEN else pytest.approx(float(item.passing.log_value)),
        }
    margin = found["error_margin"]
    assert margin["threshold"] == pytest.approx(log(100))
    assert margin["rate"] == pytest.approx(0.01, abs=0.005)
    assert margin["limit"] == pytest.approx((margin["rate"] or 0.0) + 0.02)


def test_a_pass_test_has_no_evidence_before_it_begins() -> None:
    for state in states_of():
        passing = describe_tests(state, LAPTOP)["error_margin"]["pass"]
        assert (passing is None) == (state.observation.blocks < STARTS_AT)


def test_the_evidence_that_lets_a_stage_pass_is_in_the_log() -> None:
    """It grows while nothing differs."""
    states = states_of()
    found = [describe_tests(state, LAPTOP)["error_margin"]["pass"] or 0.0 for state in states]
    assert found[-1] > found[STARTS_AT] > 0
