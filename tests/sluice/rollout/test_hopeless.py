"""Stages that no traffic could pass are found before a rollout begins with them."""

import pytest

from sluice.config.policy import Disagreement, MarginRule, PassRule, Policy, Stage
from sluice.rollout.evidence import find_hopeless
from support.rollouts.counts import LAPTOP


def policy_of(passes: PassRule, weight: float, limit: float) -> Policy:
    """Give a policy of one stage: its pass test has the last 11 of 21 blocks of one second."""
    stage = Stage(name="one", weight=weight, min="20 s", max="21 s", passes=(passes,))
    changed: dict[str, object] = {}
    if passes == "error_margin":
        changed["error_margin"] = MarginRule(margin=limit)
    if passes == "disagreement":
        changed["disagreement"] = Disagreement(limit=limit)
    rules = LAPTOP.rules.model_copy(update=changed)
    return LAPTOP.model_copy(update={"stages": (stage,), "rules": rules})


@pytest.mark.parametrize(
    ("passes", "weight", "limit"),
    [
        ("disagreement", 0.0, 3.6e-5),  # 10 blocks give 2.74, 11 give 3.03 of the 3.00 needed
        ("error_margin", 0.05, 8.4e-4),
        ("latency_margin", 0.0042, 0.0),
    ],
)
def test_just_enough_blocks_at_the_most_traffic_are_enough(
    passes: PassRule, weight: float, limit: float
) -> None:
    assert find_hopeless(policy_of(passes, weight, limit)) == []


@pytest.mark.parametrize(
    ("passes", "weight", "limit"),
    [
        ("disagreement", 0.0, 3.5e-5),  # 11 blocks give 2.94, 12 would give 3.23
        ("error_margin", 0.05, 8e-4),
        ("latency_margin", 0.004, 0.0),
    ],
)
def test_one_block_too_few_is_hopeless(passes: PassRule, weight: float, limit: float) -> None:
    ((path, problem),) = find_hopeless(policy_of(passes, weight, limit))
    assert path == ("stages", 0, "max")
    assert problem.startswith(f"{passes} cannot be passed by max")
