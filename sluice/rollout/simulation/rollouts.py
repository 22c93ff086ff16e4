"""Many rollouts of one policy at once, each on its own clock, stage after stage."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sluice.config.policy import Policy, Stage
from sluice.rollout.breaker import LIMIT
from sluice.rollout.simulation.arrivals import Arrivals, DrawnArrivals
from sluice.rollout.simulation.judging import (
    ERRORS,
    LATENCY,
    EvidenceJudge,
    Judge,
    PointJudge,
    Sight,
    simulated_rules,
)
from sluice.rollout.simulation.latencies import Latencies
from sluice.rollout.simulation.ledger import Ledger
from sluice.rollout.simulation.outcome import Ending, Outcome
from sluice.rollout.simulation.recorded import RecordedArrivals, Recording
from sluice.rollout.simulation.traffic import Floats, Indices, Traffic
from sluice.rollout.simulation.users import FirstRequestArrivals, UserArrivals
from sluice.rollout.soak import Alarm

SHORT = 240
"""Blocks up to which a stage's clustering is measured each block."""
SPARSELY = 10
"""Beyond, it is measured each so many blocks unless told otherwise, and the report says so."""
EXTRA = ("max", "soak")
"""What rolls back besides rules."""
Progress = Callable[[str, float], None]
"""Told the stage's name and the share of it that is done."""


@dataclass(frozen=True)
class Trial:
    """What is simulated: a policy on traffic, so many rollouts, judged one way."""

    policy: Policy
    traffic: Traffic
    runs: int = 1000
    seed: int = 1
    judge: Literal["evidence", "points"] = "evidence"
    checks: int = 1
    """Failed checks that roll back, where points judge."""
    recording: Recording | None = None
    soak: bool = True
    sparsely: int = SPARSELY
    """Each how many blocks clustering is measured where stages are longer than 240 blocks."""
    keep_going: bool = False
    """Whether a rollout that did not pass a stage goes on all the same (feasibility)."""

    @property
    def every(self) -> int:
        """Each how many blocks clustering is measured."""
        longest = max(self.policy.count_blocks(stage.max) for stage in self.policy.stages)
        return 1 if longest <= SHORT else self.sparsely


class Rollouts:
    """The simulated rollouts: counts so far, tests of the stage under way, what was decided."""

    def __init__(self, trial: Trial) -> None:
        policy, runs = trial.policy, trial.runs
        self.trial, self.policy = trial, policy
        self.rng = np.random.default_rng(trial.seed)
        names = ERRORS if trial.recording else ERRORS + LATENCY
        self.rules = simulated_rules(policy, names)
        by_points = trial.judge == "points"
        self.names = ("failed checks",) if by_points else tuple(rule.name for rule in self.rules)
        self.arrivals = open_arrivals(trial, self.rng)
        history = policy.count_blocks(policy.history)
        blocks = history + sum(policy.count_blocks(stage.max) for stage in policy.stages)
        self.ledgers = {"errors": Ledger(runs, blocks, trial.every)}
        self.latencies: Latencies | None = None
        if not trial.recording:
            self.ledgers["latency"] = Ledger(runs, blocks, trial.every)
            margin, far = policy.rules.latency_margin, policy.rules.latency_double.ratio
            limits = (margin.ratio, far, margin.min_effect_ms)
            lowest = trial.traffic.rate * policy.block * (1 - policy.stages[-1].weight)
            self.latencies = Latencies(trial.traffic, (runs, lowest), limits)
        self.clock, self.exposed = np.zeros(runs), np.zeros(runs)
        self.endings = np.full(runs, int(Ending.UNDECIDED), dtype=np.intp)
        self.rejected = np.full(runs, -1, dtype=np.intp)
        shape = (len(policy.stages), runs)
        self.passed, self.spent = np.full(shape, np.nan), np.full(shape, np.nan)
        self._watch_champion(history)

    def _watch_champion(self, blocks: int) -> None:
        """Draw the champion's traffic before the rollout."""
        runs = np.arange(self.trial.runs)
        self.arrivals.open_stage(0.0, blocks)
        for block in range(blocks):
            clock = np.full(len(runs), (block - blocks) * self.policy.block)
            self._record(runs, self._look(runs, clock))

    def _look(self, runs: Indices, clock: Floats) -> Sight:
        counts = self.arrivals.draw(runs, clock)
        overruns = None
        if self.latencies is not None:
            known = self.latencies.is_known(runs)
            drawn = self.latencies.observe(self.rng, runs, counts, clock)
            overruns = drawn if known else None
        differing = self.rng.binomial(counts.n_c.astype(int), self.trial.traffic.disagreement)
        return Sight(counts, overruns, differing.astype(float))

    def _record(self, runs: Indices, sight: Sight) -> None:
        counts = sight.counts
        self.ledgers["errors"].append(runs, counts.n_b, counts.k_b)
        if sight.overruns is not None:
            self.ledgers["latency"].append(runs, counts.n_b, sight.overruns.usual)

    def run_stage(self, place: int, progress: Progress | None = None) -> None:
        """Take every rollout that is still under way through a stage."""
        stage = self.policy.stages[place]
        blocks = self.policy.count_blocks(stage.max)
        half = self.policy.count_blocks(stage.min) // 2
        runs = np.flatnonzero(self.endings == Ending.UNDECIDED)
        self.arrivals.open_stage(stage.weight, blocks)
        judge = self._open_judge(stage, len(runs))
        asked = np.zeros(self.trial.runs)
        for block in range(1, blocks + 1):
            if not len(runs):
                break
            sight = self._look(runs, self.clock[runs] * self.policy.block)
            rejected, passed = judge.judge(runs, sight, block)
            self._record(runs, sight)
            self.clock[runs] += 1
            asked[runs] += sight.counts.n_c if block > half else 0.0
            self.exposed[runs] += sight.counts.n_c if stage.weight else 0.0
            stopped = rejected >= 0
            self._roll_back(runs[stopped], rejected[stopped])
            gone = runs[passed & ~stopped]
            self.passed[place, gone] = block * self.policy.block
            self.spent[place, gone] = asked[gone]
            kept = ~(stopped | passed)
            if not kept.all():
                judge.keep(kept)
                runs = runs[kept]
            if progress:
                progress(stage.name, block / blocks)
        self._end_at_max(stage, runs)

    def _open_judge(self, stage: Stage, runs: int) -> Judge:
        if self.trial.judge == "points":
            return PointJudge(self.policy, stage, runs, self.trial.checks)
        return EvidenceJudge(self.policy, stage, self.rules, self.ledgers)

    def _roll_back(self, runs: Indices, rules: Indices) -> None:
        self.endings[runs] = Ending.ROLLED_BACK
        self.rejected[runs] = rules

    def _end_at_max(self, stage: Stage, runs: Indices) -> None:
        if self.trial.keep_going:
            return
        if stage.on_max == "roll_back":
            self._roll_back(runs, np.full(len(runs), len(self.names)))
        else:
            self.endings[runs] = Ending.HELD

    def run_soak(self) -> None:
        """Give the candidates that passed all traffic, and sound the alarms against frozen limits.

        They look at blocks; the gateway's breaker, which looks at requests, would be quicker.
        """
        runs = np.flatnonzero(self.endings == Ending.UNDECIDED)
        errors, slow = Alarm.begin(LIMIT), Alarm.begin(LIMIT)
        self.arrivals.open_stage(1.0, self.policy.count_blocks(self.policy.soak))
        raised = np.zeros(len(runs), dtype=bool)
        for _ in range(self.policy.count_blocks(self.policy.soak)):
            sight = self._look(runs, self.clock[runs] * self.policy.block)
            errors = errors.update(sight.counts.n_c, sight.counts.k_c)
            raised = raised | errors.is_raised
            if sight.overruns is not None:
                slow = slow.update(sight.counts.n_c, sight.overruns.far)
                raised = raised | slow.is_raised
            self.clock[runs] += ~raised
            self.exposed[runs] += np.where(raised, 0.0, sight.counts.n_c)
        self._roll_back(runs[raised], np.full(int(raised.sum()), len(self.names) + 1))

    def finish(self) -> Outcome:
        """Give what became of all; who is still under way was promoted."""
        under_way = self.endings == Ending.UNDECIDED
        endings = np.where(under_way, int(Ending.PROMOTED), self.endings)
        measured = self.ledgers["errors"].is_measured(np.arange(self.trial.runs))
        return Outcome(
            endings,
            self.rejected,
            self.clock * self.policy.block,
            self.exposed,
            self.passed,
            self.spent,
            (*self.names, *EXTRA),
            tuple(stage.name for stage in self.policy.stages),
            float(np.mean(measured)),
        )


def open_arrivals(trial: Trial, rng: np.random.Generator) -> Arrivals:
    """Open the source of blocks that the trial's traffic calls for."""
    traffic, policy = trial.traffic, trial.policy
    if trial.recording is not None:
        return RecordedArrivals(trial.recording, traffic, trial.runs, rng)
    if traffic.users is None:
        return DrawnArrivals(traffic, policy.block, rng)
    if policy.count == "units":
        return FirstRequestArrivals(traffic, policy.block, rng, trial.runs)
    weights = [stage.weight for stage in policy.stages if stage.weight]
    users = UserArrivals(traffic, policy.block, rng, weights)
    users.prepare(trial.runs, policy.rules.error_margin.margin)
    return users


def simulate(trial: Trial, progress: Progress | None = None) -> Outcome:
    """Simulate a policy's rollouts from shadow to the end of the soak."""
    rollouts = Rollouts(trial)
    if isinstance(rollouts.arrivals, UserArrivals):
        unfair = np.array(sorted(rollouts.arrivals.unfair), dtype=np.intp)
        rollouts.endings[unfair] = Ending.HELD
    for place in range(len(trial.policy.stages)):
        rollouts.run_stage(place, progress)
    if trial.soak:
        rollouts.run_soak()
    return rollouts.finish()
