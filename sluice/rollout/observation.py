"""What a stage has observed: each rule's evidence, the latency baseline, agreement in shadow."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sluice.config.policy import Policy
from sluice.rollout.evidence import Block, Boundary, LimitTest, PassTest, RollbackTest
from sluice.rollout.facts import Arm
from sluice.rollout.history import Clustering, History, measure_clustering
from sluice.rollout.latency import (
    REFRESH,
    WINDOW,
    Histogram,
    LatencyLimits,
    find_quantile,
    set_limits,
)
from sluice.rollout.rules import Rule, count_block, list_rules


@dataclass(frozen=True)
class StageEvidence:
    """The champion's history, the roll-back test, and the pass test from `starts_at` on.

    Everything that goes into a block's evidence comes from blocks before it.
    """

    history: History
    rollback: RollbackTest
    passing: PassTest
    starts_at: int
    """The first block, counted from 1, that the pass test sees: floor(min / 2) + 1."""
    robust: bool = True
    """Whether correlated failures weigh less (the design effect)."""

    @classmethod
    def begin(
        cls, history: History, boundary: Boundary, blocks: int, starts_at: int, robust: bool = True
    ) -> "StageEvidence":
        """Open a stage of at most `blocks` blocks on the champion's history."""
        tests = RollbackTest(boundary, blocks), PassTest(boundary)
        return cls(history, *tests, starts_at, robust)

    @property
    def clustering(self) -> Clustering:
        """How the champion's failures cluster in all its past blocks."""
        return measure_clustering(self.history)

    @property
    def has_begun(self) -> bool:
        """Whether the pass test has seen a block."""
        return self.rollback.t >= self.starts_at

    def update(self, block: Block, counting: bool = True) -> "StageEvidence":
        """Give the evidence one block on.

        Before 500 champion requests are known the block only adds to the history. One that does
        not count (the rollout is paused) can only speak against the candidate: the wealth is
        played on, no tick passes, and the pass test does not see it.
        """
        history = self.history.append(block.n_b, block.k_b)
        if not np.all(self.history.is_known):
            return replace(self, history=history)
        rate = self.history.rate
        rho = self.clustering.rho if self.robust else np.zeros(())
        after = replace(
            self, history=history, rollback=self.rollback.update(block, rate, rho, counting)
        )
        if counting and after.has_begun:
            return replace(after, passing=self.passing.update(block, rate, rho))
        return after


@dataclass(frozen=True)
class Baseline:
    """The champion's latency: its last blocks, and the limits that were read from them."""

    window: tuple[Histogram, ...] = ()
    limits: LatencyLimits | None = None
    age: int = 0
    """Blocks since the limits were read."""

    def observe(self, histogram: Histogram, policy: Policy) -> "Baseline":
        """Give the baseline one block on; the limits change each fifth block."""
        window = (*self.window, histogram)[-WINDOW:]
        if self.limits is not None and self.age + 1 < REFRESH:
            return replace(self, window=window, age=self.age + 1)
        bucket = find_quantile(window)
        if bucket is None:
            return replace(self, window=window)
        rule = policy.rules.latency_margin
        far = policy.rules.latency_double.ratio
        limits = set_limits(bucket, rule.ratio, far, rule.min_effect_ms)
        return Baseline(window, limits, 0)


@dataclass(frozen=True)
class Observation:
    """Everything that the tests of the stage under way are made of."""

    evidence: Mapping[str, StageEvidence]
    baseline: Baseline
    disagreement: LimitTest
    blocks: int = 0
    """Blocks of the stage that counted."""
    waived: frozenset[str] = field(default_factory=frozenset)
    """Rules that a person overrode for the rest of the stage."""


def open_stage(
    policy: Policy, stage: int, histories: Mapping[str, History], baseline: Baseline
) -> Observation:
    """Begin a stage on what is known of the champion."""
    chosen = policy.stages[stage]
    blocks = policy.count_blocks(chosen.max)
    starts_at = policy.count_blocks(chosen.min) // 2 + 1
    evidence = {
        rule.name: StageEvidence.begin(
            histories[rule.name], rule.boundary, blocks, starts_at, rule.robust
        )
        for rule in list_rules(policy)
    }
    limit = LimitTest(policy.rules.disagreement.limit)
    return Observation(evidence, baseline, limit)


def observe(
    seen: Observation, candidate: Arm, champion: Arm, policy: Policy, counting: bool = True
) -> Observation:
    """Give the observation one block on; while paused (`counting` false) it only can stop."""
    limits = seen.baseline.limits
    evidence = dict(seen.evidence)
    for rule in list_rules(policy):
        block = count_block(rule, candidate, champion, limits)
        if block is not None:
            evidence[rule.name] = evidence[rule.name].update(block, counting)
    blocks = seen.blocks + counting
    agrees = seen.disagreement
    if counting and blocks >= _first(seen):
        agrees = agrees.update(candidate.compared, candidate.differing)
    baseline = seen.baseline.observe(champion.latencies, policy)
    return replace(seen, evidence=evidence, baseline=baseline, disagreement=agrees, blocks=blocks)


def _first(seen: Observation) -> int:
    return next(iter(seen.evidence.values())).starts_at


def find_rejections(seen: Observation, policy: Policy) -> list[Rule]:
    """Name the rules whose roll-back test has enough evidence, in the order of asking."""
    return [
        rule
        for rule in list_rules(policy)
        if rule.name not in seen.waived
        and float(seen.evidence[rule.name].rollback.log_wealth) >= rule.threshold
    ]


def gather_histories(seen: Observation) -> dict[str, History]:
    """Give each rule's champion history, for the next stage to begin on."""
    return {name: item.history for name, item in seen.evidence.items()}


def open_histories(policy: Policy, blocks: list[Arm]) -> tuple[dict[str, History], Baseline]:
    """Read the champion's traffic before the rollout: one arm a block, oldest first.

    What is older than the policy's `history` is left out.
    """
    baseline = Baseline()
    counts: dict[str, list[tuple[float, float]]] = {rule.name: [] for rule in list_rules(policy)}
    for arm in blocks[-policy.count_blocks(policy.history) :]:
        for rule in list_rules(policy):
            block = count_block(rule, arm, arm, baseline.limits)
            if block is not None:
                counts[rule.name].append((float(block.n_b), float(block.k_b)))
        baseline = baseline.observe(arm.latencies, policy)
    columns = {name: np.array(rows, dtype=float).reshape(-1, 2) for name, rows in counts.items()}
    return {name: History(rows[:, 0], rows[:, 1]) for name, rows in columns.items()}, baseline
