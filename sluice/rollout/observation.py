"""The observation of a stage: each rule's evidence, the latency baseline, agreement in shadow."""

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
    """One rule's champion history and roll-back test, and its pass test from `starts_at` on.

    Rates, clustering and alternatives for a block come from the blocks before it.
    """

    history: History
    rollback: RollbackTest
    passing: PassTest
    starts_at: int
    """The first block, counted from 1, of the pass test: floor(min / 2) + 1."""
    robust: bool = True
    """Whether clustered failures are down-weighted (the design effect)."""

    @classmethod
    def begin(
        cls, history: History, boundary: Boundary, blocks: int, starts_at: int, robust: bool = True
    ) -> "StageEvidence":
        """Start a stage of at most `blocks` blocks with the champion's history."""
        tests = RollbackTest(boundary, blocks), PassTest(boundary)
        return cls(history, *tests, starts_at, robust)

    @property
    def clustering(self) -> Clustering:
        """How the champion's failures cluster in all past blocks."""
        return measure_clustering(self.history)

    @property
    def has_begun(self) -> bool:
        """Whether the pass test has started."""
        return self.rollback.t >= self.starts_at

    def update(self, block: Block, counting: bool = True) -> "StageEvidence":
        """Return the evidence after one more block.

        Until 500 champion requests are known, a block only adds to the history. A block that does
        not count (the rollout is paused) can only count against the candidate: it updates the
        roll-back test without a tick, and not the pass test.
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
        """Return the baseline of whole answers after one more block."""
        rules = policy.rules
        margin = rules.latency_margin
        return self.read(histogram, margin.ratio, rules.latency_double.ratio, margin.min_effect_ms)

    def observe_first(self, histogram: Histogram, policy: Policy) -> "Baseline":
        """Return the baseline of the time to the first piece after one more block."""
        rule = policy.rules.first_byte
        if rule == "none":
            return self
        return self.read(histogram, rule.ratio, rule.ratio, rule.min_effect_ms)

    def read(
        self, histogram: Histogram, near: float, far: float, min_effect_ms: float
    ) -> "Baseline":
        """Return the baseline after one more block; the limits change every fifth block."""
        window = (*self.window, histogram)[-WINDOW:]
        if self.limits is not None and self.age + 1 < REFRESH:
            return replace(self, window=window, age=self.age + 1)
        bucket = find_quantile(window)
        if bucket is None:
            return replace(self, window=window)
        return Baseline(window, set_limits(bucket, near, far, min_effect_ms), 0)


@dataclass(frozen=True)
class Observation:
    """The state of all tests in the current stage."""

    evidence: Mapping[str, StageEvidence]
    baseline: Baseline
    disagreement: LimitTest
    blocks: int = 0
    """Blocks of the stage that counted."""
    waived: frozenset[str] = field(default_factory=frozenset)
    """Rules that a person waived for the rest of the stage."""
    first_byte: Baseline = field(default_factory=Baseline)
    """The champion's time to the first piece of a streamed answer."""


def open_stage(
    policy: Policy,
    stage: int,
    histories: Mapping[str, History],
    baseline: Baseline,
    first_byte: Baseline | None = None,
) -> Observation:
    """Start a stage with the champion's histories and latency baselines."""
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
    return Observation(evidence, baseline, limit, first_byte=first_byte or Baseline())


def observe(
    before: Observation, candidate: Arm, champion: Arm, policy: Policy, counting: bool = True
) -> Observation:
    """Return the observation after one more block; `counting` is false while paused."""
    limits, first_limits = before.baseline.limits, before.first_byte.limits
    evidence = dict(before.evidence)
    for rule in list_rules(policy):
        block = count_block(rule, candidate, champion, limits, first_limits)
        if block is not None:
            evidence[rule.name] = evidence[rule.name].update(block, counting)
    blocks = before.blocks + counting
    agreement = before.disagreement
    if counting and blocks >= _find_start(before):
        agreement = agreement.update(candidate.compared, candidate.differing)
    return replace(
        before,
        evidence=evidence,
        baseline=before.baseline.observe(champion.latencies, policy),
        first_byte=before.first_byte.observe_first(champion.first_bytes, policy),
        disagreement=agreement,
        blocks=blocks,
    )


def _find_start(observation: Observation) -> int:
    return next(iter(observation.evidence.values())).starts_at


def find_rejections(observation: Observation, policy: Policy) -> list[Rule]:
    """List the rules whose roll-back test has enough evidence, in the order of testing."""
    return [
        rule
        for rule in list_rules(policy)
        if rule.name not in observation.waived
        and float(observation.evidence[rule.name].rollback.log_wealth) >= rule.threshold
    ]


def gather_histories(observation: Observation) -> dict[str, History]:
    """Return each rule's champion history, with which the next stage starts."""
    return {name: item.history for name, item in observation.evidence.items()}


def open_histories(policy: Policy, blocks: list[Arm]) -> tuple[dict[str, History], Baseline]:
    """Read the champion's traffic before the rollout: one arm per block, oldest first.

    Blocks older than the policy's `history` are ignored. The time to the first piece has no
    baseline yet: the rollout's first blocks give it.
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
