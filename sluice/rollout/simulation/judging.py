"""How a simulated block is judged: by evidence as in Sluice, or by its point estimates."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import log
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sluice.config.policy import Policy, Stage
from sluice.rollout.breaker import LIMIT as HIGHEST_ERRORS
from sluice.rollout.evidence import Block, LimitTest, PassTest, RollbackTest
from sluice.rollout.rules import Rule, list_rules
from sluice.rollout.simulation.histories import ChampionHistory, Overruns
from sluice.rollout.simulation.traffic import BlockCounts, Floats, Indices

ERRORS = ("error_rate", "error_margin")
LATENCY = ("latency_double", "latency_margin")
NEITHER = -1
SLOWEST = 0.05
"""Share of requests beyond a limit at which the P95 is beyond it."""


@dataclass(frozen=True)
class ObservedBlock:
    """One block as the judge gets it: counts, overruns if latency is known, signals by rule."""

    counts: BlockCounts
    overruns: Overruns | None
    differing: Floats
    signals: Mapping[str, Block] = field(default_factory=dict)

    def block(self, rule: str) -> Block | None:
        """Return a rule's counts; None if latency is not known."""
        if rule in ERRORS:
            return Block(self.counts.n_c, self.counts.k_c, self.counts.n_b, self.counts.k_b)
        if rule not in LATENCY:
            return self.signals[rule]
        if self.overruns is None:
            return None
        far = rule == "latency_double"
        slow = self.overruns.far if far else self.overruns.near
        return Block(self.counts.n_c, slow, self.counts.n_b, self.overruns.usual)


class Judge(Protocol):
    """Decides one stage of many rollouts, block by block."""

    def judge(
        self, runs: Indices, observed: ObservedBlock, block: int
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return each rollout's rejecting rule (its place, or -1), and whether it advances."""

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the rollouts that are decided."""


def simulated_rules(policy: Policy, names: tuple[str, ...] = ERRORS + LATENCY) -> tuple[Rule, ...]:
    """Return the rules with counts; those that pause come last, as in the controller."""
    found = [rule for rule in list_rules(policy) if rule.name in names]
    return tuple(sorted(found, key=lambda rule: rule.action == "pause"))


class EvidenceJudge:
    """A stage's tests as in the controller, for many rollouts at once."""

    def __init__(
        self,
        policy: Policy,
        stage: Stage,
        rules: tuple[Rule, ...],
        histories: dict[str, ChampionHistory],
    ) -> None:
        blocks = policy.count_blocks(stage.max)
        self.rules, self.histories = rules, histories
        self.first = policy.count_blocks(stage.min)
        self.starts_at = self.first // 2 + 1
        self.threshold = log(1 / policy.pass_alpha)
        self.stops = {rule.name: RollbackTest(rule.boundary, blocks) for rule in rules}
        self.passes = {
            rule.name: PassTest(rule.boundary) for rule in rules if rule.name in stage.passes
        }
        required = "disagreement" in stage.passes
        self.agreement = LimitTest(policy.rules.disagreement.limit) if required else None

    def judge(
        self, runs: Indices, observed: ObservedBlock, block: int
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Update every test with the block, numbered from 1, and read all tests."""
        rejected = np.full(len(runs), NEITHER, dtype=np.intp)
        for place, rule in enumerate(self.rules):
            self._update(rule, runs, observed, block)
            beyond = np.broadcast_to(
                self.stops[rule.name].log_wealth >= rule.threshold, rejected.shape
            )
            rejected = np.where((rejected == NEITHER) & beyond, place, rejected)
        if self.agreement is not None and block >= self.starts_at:
            self.agreement = self.agreement.update(observed.counts.n_c, observed.differing)
        passed = np.full(len(runs), block >= self.first)
        tests: list[PassTest | LimitTest] = list(self.passes.values())
        tests += [self.agreement] if self.agreement else []
        for test in tests:
            passed = passed & (test.log_value >= self.threshold)
        return rejected, passed

    def _update(self, rule: Rule, runs: Indices, observed: ObservedBlock, block: int) -> None:
        counts = observed.block(rule.name)
        history = self.histories[kind_of(rule.name)]
        if counts is None or not history.is_known(runs):
            return
        rate = history.rate(runs)
        rho = history.correlation(runs, block - 1) if rule.robust else np.zeros(len(runs))
        stop = self.stops[rule.name].update(counts, rate, rho)
        self.stops[rule.name] = stop
        if rule.name in self.passes and stop.t >= self.starts_at:
            self.passes[rule.name] = self.passes[rule.name].update(counts, rate, rho)

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the rollouts that are decided."""
        self.stops = {name: _keep_stop(test, kept) for name, test in self.stops.items()}
        self.passes = {
            name: replace(test, log_products=_keep(test.log_products, kept))
            for name, test in self.passes.items()
        }
        if self.agreement is not None:
            products = _keep(self.agreement.log_products, kept)
            self.agreement = replace(self.agreement, log_products=products)


class PointJudge:
    """The limits read literally: after `checks` blocks beyond a limit, roll back."""

    def __init__(self, policy: Policy, stage: Stage, runs: int, checks: int) -> None:
        self.stage, self.margin = stage, policy.rules.error_margin.margin
        self.first, self.checks = policy.count_blocks(stage.min), checks
        self.limit = policy.rules.disagreement.limit
        self.failed = np.zeros(runs, dtype=np.intp)

    def judge(
        self, runs: Indices, observed: ObservedBlock, block: int
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Count the block as a failed check if any limit is exceeded; rules are not separated."""
        self.failed = self.failed + self._fails(observed)
        rejected = np.where(self.failed >= self.checks, 0, NEITHER)
        return rejected, np.full(len(runs), block >= self.first)

    def _fails(self, observed: ObservedBlock) -> NDArray[np.bool_]:
        counts, passes = observed.counts, self.stage.passes
        n_c, n_b = np.maximum(counts.n_c, 1), np.maximum(counts.n_b, 1)
        failed = counts.k_c / n_c > HIGHEST_ERRORS
        if "error_margin" in passes:
            failed = failed | (counts.k_c / n_c >= counts.k_b / n_b + self.margin)
        if observed.overruns is not None:
            failed = failed | (observed.overruns.far / n_c > SLOWEST)
            if "latency_margin" in passes:
                failed = failed | (observed.overruns.near / n_c > SLOWEST)
        if "disagreement" in passes:
            failed = failed | (observed.differing / n_c > self.limit)
        return np.asarray(failed & (counts.n_c > 0))

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the rollouts that are decided."""
        self.failed = self.failed[kept]


def kind_of(rule: str) -> str:
    """Return the kind of counts that a rule's history has."""
    return "errors" if rule in ERRORS else "latency" if rule in LATENCY else rule


def _keep(values: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Keep the chosen entries of the last axis, if there is one entry per rollout."""
    return values[..., kept] if values.ndim > 1 else values


def _keep_stop(test: RollbackTest, kept: NDArray[np.bool_]) -> RollbackTest:
    if test.t == 0:
        return test
    first, requests, failures = (
        np.asarray(item)[kept] for item in (test.first_rate, test.requests, test.failures)
    )
    bets = _keep(test.log_bets, kept)
    return replace(test, log_bets=bets, first_rate=first, requests=requests, failures=failures)
