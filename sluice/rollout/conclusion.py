"""Whether a stage could ever conclude: with all the traffic in the world, and no failure at all."""

from math import log

from sluice.config.policy import PassRule, Policy, Stage
from sluice.rollout.boundary import Boundary
from sluice.rollout.evidence import Block
from sluice.rollout.passing import LimitTest, PassTest

PLENTY = 10_000.0
"""Requests a second that are more than a stage may count on."""
FEWEST = 1e-4
"""A champion's rate that is better than a stage may count on."""
TAIL = 0.05
"""Share of a champion's requests that are slower than its P95."""
Words = tuple[tuple[int | str, ...], str]


def find_hopeless(policy: Policy) -> list[Words]:
    """Give each stage's pass tests that could never conclude: the key at fault, and why."""
    found: list[Words] = []
    for place, stage in enumerate(policy.stages):
        for name in stage.passes:
            found += [
                (("stages", place, *key), words) for key, words in _judge(policy, stage, name)
            ]
    return found


def _judge(policy: Policy, stage: Stage, name: PassRule) -> list[Words]:
    needed = log(1 / policy.pass_alpha)
    first = policy.count_blocks(stage.min) // 2 + 1
    blocks = policy.count_blocks(stage.max) - first + 1
    requests = PLENTY * policy.block
    if name == "disagreement":
        limit = LimitTest(policy.rules.disagreement.limit).update(blocks * requests, 0.0)
        reached = float(limit.log_value)
    else:
        rate = TAIL if name == "latency_margin" else FEWEST
        boundary = read_boundary(policy, name)
        test = PassTest(boundary)
        if not bool(test.is_possible(rate)):
            limit_words = f"{name} cannot be passed: its limit is {float(boundary.limit(rate)):.2g}"
            return [(("passes",), f"{limit_words}; allowed: below .98 of the cap, above 1e-5")]
        n_c, n_b = blocks * requests * (stage.weight or 1), blocks * requests * (1 - stage.weight)
        good = rate if boundary.margin else rate / 2
        reached = float(test.update(Block(n_c, n_c * good, n_b, n_b * rate), rate, 0.0).log_value)
    if reached >= needed:
        return []
    words = (
        f"{name} cannot be passed by max, not even at {PLENTY:,.0f} requests/s; "
        "next: a longer max, or a wider limit"
    )
    return [(("max",), words)]


def read_boundary(policy: Policy, name: PassRule) -> Boundary:
    """Give the limit that a pass test holds the candidate against."""
    business = policy.rules.business
    if name == "error_margin":
        return Boundary(1, policy.rules.error_margin.margin)
    if name == "business" and business != "none":
        return Boundary(1, business.margin / business.cap)
    return Boundary(1, 0)
