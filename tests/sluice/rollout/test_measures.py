"""How single answers add to an arm's counts, and what `count: units` compares."""

from dataclasses import replace

import numpy as np
import pytest

from sluice.config.policy import Business, CostRule, Disagreement
from sluice.rollout.facts import Arm
from sluice.rollout.measures import (
    count_differing,
    count_first,
    set_cost_cap,
    sum_costs,
    sum_lack,
)
from sluice.rollout.observation import open_histories
from sluice.rollout.rules import count_block, list_rules
from sluice.rollout.state import Phase
from sluice.rollout.state_machine import list_blockers, step
from support.rollouts.counts import LAPTOP, arm_of, facts_of, run_to

BY_UNITS = LAPTOP.model_copy(update={"count": "units"})


def test_cost_counts_up_to_the_cap_of_the_champions_mean() -> None:
    cap = set_cost_cap(CostRule(ratio=2.0, cap=20), 0.05)
    assert cap == 1.0
    assert sum_costs([0.0, 0.25, 1.0, 40.0], cap) == 2.25


def test_business_value_lacks_what_is_missing_to_its_cap() -> None:
    rule = Business(metric="basket", cap=10, margin=1)
    assert sum_lack([0.0, 2.5, 10.0, 99.0], rule) == 1.75


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_cost_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="allowed: a number of at least 0"):
        sum_costs([value], 1.0)
    with pytest.raises(ValueError, match="allowed: above 0"):
        set_cost_cap(CostRule(ratio=2.0), value)


def test_numbers_agree_within_the_tolerance_and_words_when_equal() -> None:
    near = Disagreement(tolerance=0.5)
    assert count_differing([1.0, 2, 3.0, 4], [1.5, 2.6, 3, 4], near) == 1
    assert count_differing(["yes", None, True, "1"], ["no", None, False, 1], near) == 3
    assert count_differing([float("nan")], [float("nan")], near) == 1
    assert count_differing([1, 2], [1, 3], Disagreement()) == 1


def test_first_request_of_each_unit_is_counted_once() -> None:
    block = [("ada", True), ("bob", False), ("ada", False), ("cy", True)]
    first, failures, seen = count_first(block, {"cy"})
    assert (first, failures, seen) == (2, 1, {"ada", "bob", "cy"})
    assert count_first(block, seen) == (0, 0, seen)


def test_rules_on_errors_count_units_where_the_policy_says_so() -> None:
    arm = Arm(requests=100.0, failures=40.0, units=10.0, unit_failures=1.0, guardrails=3.0)
    counted = {rule.name: count_block(rule, arm, arm, None) for rule in list_rules(BY_UNITS)}
    for name in ("error_rate", "error_margin"):
        block = counted[name]
        assert block is not None
        assert (block.n_c, block.k_c) == (10, 1)
    block = counted["guardrail"]
    assert block is not None
    assert (block.n_c, block.k_c) == (100, 3)


def test_shadow_balance_is_asked_where_requests_are_counted() -> None:
    state = run_to(Phase.SHADOW)
    while state.observation.blocks < LAPTOP.count_blocks(LAPTOP.stages[0].min):
        facts = replace(facts_of(state, np.random.default_rng(3)), fair_salt=False)
        state, _ = step(state, facts, None, LAPTOP)
    assert any("balance" in blocker.reason for blocker in list_blockers(state, facts, LAPTOP))
    assert not any("balance" in item.reason for item in list_blockers(state, facts, BY_UNITS))


def test_history_older_than_the_policys_is_left_out() -> None:
    old, new = arm_of(100, 50), arm_of(100, 1)
    histories, _ = open_histories(LAPTOP, [old] * 30 + [new] * 20)
    assert float(histories["error_margin"].k.sum()) == 20
