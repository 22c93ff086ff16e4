"""The rules of a policy as tests: each one's limit, its threshold, and the counts it compares."""

from dataclasses import dataclass
from functools import lru_cache
from math import log

from sluice.config.policy import Policy
from sluice.rollout.evidence import Block, Boundary
from sluice.rollout.facts import Arm
from sluice.rollout.latency import LatencyLimits, count_overruns


@dataclass(frozen=True)
class Rule:
    """One rule; it rejects when the logarithm of its wealth reaches `threshold`."""

    name: str
    boundary: Boundary
    threshold: float
    action: str
    """What a rejection does: `roll_back` or `pause`."""
    counts: tuple[str, str]
    """Names of an arm's counts: all cases, and the cases that count as failures."""
    robust: bool = True
    """Whether clustered failures are down-weighted (the design effect)."""


@lru_cache(maxsize=32)
def list_rules(policy: Policy) -> tuple[Rule, ...]:
    """Return a policy's rules in the order of testing; computed once per policy."""
    rules = policy.rules
    found = [
        ("error_rate", rules.error_rate, Boundary(1, rules.error_rate.margin)),
        ("error_margin", rules.error_margin, Boundary(1, rules.error_margin.margin)),
        ("latency_double", rules.latency_double, Boundary(1, 0)),
        ("latency_margin", rules.latency_margin, Boundary(1, 0)),
        ("guardrail", rules.guardrail, Boundary(rules.guardrail.ratio, 0)),
        ("feedback", rules.feedback, Boundary(rules.feedback.ratio, 0)),
        ("cost", rules.cost, Boundary(rules.cost.ratio, 0)),
    ]
    if rules.first_byte != "none":
        found.append(("first_byte", rules.first_byte, Boundary(1, 0)))
    if rules.business != "none":
        business = rules.business
        found.append(("business", business, Boundary(1, business.margin / business.cap)))
    counts = {**COUNTS, **(BY_UNIT if policy.count == "units" else {})}
    return tuple(
        Rule(name, boundary, log(1 / rule.alpha), rule.action, counts[name], name != "error_rate")
        for name, rule, boundary in found
    )


def count_block(
    rule: Rule,
    candidate: Arm,
    champion: Arm,
    limits: LatencyLimits | None,
    first_limits: LatencyLimits | None = None,
) -> Block | None:
    """Return a rule's counts in a block; None if a time has no baseline yet.

    `limits` are those of whole answers, `first_limits` those of the time to the first piece, of
    which failures have none.
    """
    whole, part = rule.counts
    if part == "first_bytes":
        if first_limits is None:
            return None
        late = count_overruns(candidate.first_bytes, 0.0, first_limits.far)
        usual = count_overruns(champion.first_bytes, 0.0, first_limits.baseline)
        return Block(candidate.streamed, late, champion.streamed, usual)
    if part == "latencies":
        if limits is None:
            return None
        limit = limits.near if rule.name == "latency_margin" else limits.far
        slow = count_overruns(candidate.latencies, candidate.failures, limit)
        usual = count_overruns(champion.latencies, champion.failures, limits.baseline)
        return Block(candidate.requests, slow, champion.requests, usual)
    return Block(
        getattr(candidate, whole),
        getattr(candidate, part),
        getattr(champion, whole),
        getattr(champion, part),
    )


COUNTS = {
    "error_rate": ("requests", "failures"),
    "error_margin": ("requests", "failures"),
    "latency_double": ("requests", "latencies"),
    "latency_margin": ("requests", "latencies"),
    "first_byte": ("streamed", "first_bytes"),
    "guardrail": ("requests", "guardrails"),
    "feedback": ("feedbacks", "negatives"),
    "cost": ("priced", "cost"),
    "business": ("valued", "lack"),
}
BY_UNIT = {"error_rate": ("units", "unit_failures"), "error_margin": ("units", "unit_failures")}
"""The counts of the rules on errors under `count: units`; every other rule counts requests."""
