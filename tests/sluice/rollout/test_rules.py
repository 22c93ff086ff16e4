"""The rules of a policy: their limits, their thresholds, what follows, and what each counts."""

from math import log

import pytest

from sluice.config.policy import Business, Rules
from sluice.rollout.evidence import Block, Boundary, read_boundary
from sluice.rollout.facts import Arm
from sluice.rollout.latency import bucket_of, set_limits
from sluice.rollout.rules import Rule, count_block, list_rules
from support.rollouts.counts import read_policy

BUSINESS = Business(metric="basket", cap=50, margin=2)
STANDARD = read_policy("standard")
FULL = STANDARD.model_copy(
    update={"rules": STANDARD.rules.model_copy(update={"business": BUSINESS})}
)
# One row a rule of the table that the design gives: ratio and margin of the limit, alpha, what
# follows from a rejection, what is counted, and whether clustered failures count less.
TABLE = {
    "error_rate": (1, 0.04, 0.001, "roll_back", ("requests", "failures"), False),
    "error_margin": (1, 0.005, 0.01, "roll_back", ("requests", "failures"), True),
    "latency_double": (1, 0, 0.01, "roll_back", ("requests", "latencies"), True),
    "latency_margin": (1, 0, 0.01, "roll_back", ("requests", "latencies"), True),
    "guardrail": (3, 0, 0.01, "roll_back", ("requests", "guardrails"), True),
    "feedback": (2, 0, 0.01, "pause", ("feedbacks", "negatives"), True),
    "cost": (2, 0, 0.01, "pause", ("priced", "cost"), True),
    "business": (1, 2 / 50, 0.01, "roll_back", ("valued", "lack"), True),
}
BASELINE = 200.0
LIMITS = set_limits(bucket_of(BASELINE), 1.10, 2.0, 5.0)


def find_rule(name: str) -> Rule:
    return next(rule for rule in list_rules(FULL) if rule.name == name)


def test_the_policys_rules_are_those_of_the_design_in_their_order() -> None:
    """Errors before latency, and the coarse rule of each before the fine one."""
    assert [rule.name for rule in list_rules(FULL)] == list(TABLE)
    assert [rule.name for rule in list_rules(STANDARD)] == [*TABLE][:-1]


@pytest.mark.parametrize("name", TABLE)
def test_rule_is_what_the_design_says(name: str) -> None:
    ratio, margin, alpha, action, counts, robust = TABLE[name]
    found = find_rule(name)
    assert found.boundary == Boundary(ratio, margin)
    assert found.threshold == pytest.approx(log(1 / alpha))
    assert (found.action, found.counts, found.robust) == (action, counts, robust)


def test_a_policy_that_says_nothing_has_the_same_rules() -> None:
    defaults = STANDARD.model_copy(update={"rules": Rules(business=BUSINESS)})
    assert list_rules(defaults) == list_rules(FULL)


def test_each_rule_compares_its_own_figures_of_both_arms() -> None:
    candidate = Arm(
        requests=100, failures=1, guardrails=2, feedbacks=30, negatives=3,
        priced=40, cost=4, valued=50, lack=5,
    )  # fmt: skip
    champion = Arm(
        requests=900, failures=6, guardrails=7, feedbacks=80, negatives=8,
        priced=90, cost=9, valued=70, lack=10,
    )  # fmt: skip
    found = {rule.name: count_block(rule, candidate, champion, None) for rule in list_rules(FULL)}
    assert found == {
        "error_rate": Block(100, 1, 900, 6),
        "error_margin": Block(100, 1, 900, 6),
        "latency_double": None,
        "latency_margin": None,
        "guardrail": Block(100, 2, 900, 7),
        "feedback": Block(30, 3, 80, 8),
        "cost": Block(40, 4, 90, 9),
        "business": Block(50, 5, 70, 10),
    }


def test_latency_is_counted_above_the_limit_that_the_rule_has() -> None:
    """The champion above its own P95, the candidate above 1.10 or 2 times that."""
    latencies = {bucket_of(ms): n for ms, n in ((150, 60.0), (215, 8.0), (300, 4.0), (450, 2.0))}
    arm = Arm(requests=77, failures=3, latencies=latencies)
    margin = count_block(find_rule("latency_margin"), arm, arm, LIMITS)
    double = count_block(find_rule("latency_double"), arm, arm, LIMITS)
    assert margin == Block(77, 3 + 4 + 2, 77, 3 + 8 + 4 + 2)
    assert double == Block(77, 3 + 2, 77, 3 + 8 + 4 + 2)


def test_a_pass_test_has_the_limit_of_its_rule() -> None:
    assert read_boundary(FULL, "error_margin") == Boundary(1, 0.005)
    assert read_boundary(FULL, "latency_margin") == Boundary(1, 0)
    assert read_boundary(FULL, "business") == Boundary(1, 2 / 50)
    assert read_boundary(STANDARD, "error_margin") == Boundary(1, 0.005)
