"""Many rollouts of one policy at once, each on its own clock, stage after stage."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sluice.config.policy import Policy, Stage
from sluice.rollout.breaker import LIMIT
from sluice.rollout.evidence import HIGHEST
from sluice.rollout.simulation.histories import ChampionHistory, Latencies
from sluice.rollout.simulation.judging import (
    ERRORS,
    LATENCY,
    EvidenceJudge,
    Judge,
    PointJudge,
    Sight,
    kind_of,
    simulated_rules,
)
from sluice.rollout.simulation.recorded import RecordedArrivals, Recording, ReplayArrivals
from sluice.rollout.simulation.traffic import (
    Arrivals,
    DrawnArrivals,
    DrawnSignals,
    Floats,
    Indices,
    Signals,
    Traffic,
    choose_signals,
)
from sluice.rollout.simulation.users import FirstRequestArrivals, UserArrivals
from sluice.rollout.state import Alarm


class RolloutEnding(IntEnum):
    """How a rollout ended."""

    UNDECIDED = 0
    PROMOTED = 1
    ROLLED_BACK = 2
    HELD = 3
    PAUSED = 4


@dataclass(frozen=True)
class SimulationResult:
    """One entry a rollout; times in seconds since its start."""

    endings: NDArray[np.intp]
    rules: NDArray[np.intp]
    """Place in `names` of what rolled it back or paused it; -1 where nothing did."""
    seconds: Floats
    """When it ended."""
    exposed: Floats
    """Requests that the candidate was to answer for users, shadow aside."""
    passed: Floats
    """When it passed each stage, counted from the stage's start, shape (stages, rollouts); nan."""
    spent: Floats
    """Candidate requests since each stage's pass test began, until it passed; nan."""
    names: tuple[str, ...]
    stages: tuple[str, ...]
    measured: float
    """Share of the rollouts in which clustering was measured at the end."""

    def share(self, ending: RolloutEnding) -> float:
        """Give the share of rollouts that ended so."""
        return float(np.mean(self.endings == ending))

    def median_seconds(self, ending: RolloutEnding, start: float = 0.0) -> float | None:
        """Give the median time from `start` to an ending, None where none ended so."""
        chosen = self.seconds[self.endings == ending]
        return float(np.median(chosen) - start) if len(chosen) else None

    def median_exposed(self, ending: RolloutEnding) -> float | None:
        """Give the median of the requests exposed until an ending, None where none ended so."""
        chosen = self.exposed[self.endings == ending]
        return float(np.median(chosen)) if len(chosen) else None

    def count_rules(self, ending: RolloutEnding = RolloutEnding.ROLLED_BACK) -> dict[str, int]:
        """Count what rolled back, or paused, most often first."""
        found = {
            name: int(np.sum((self.rules == place) & (self.endings == ending)))
            for place, name in enumerate(self.names)
        }
        return dict(sorted(((k, v) for k, v in found.items() if v), key=lambda item: -item[1]))


SHORT = 240
"""Blocks up to which a stage's clustering is measured each block."""
SPARSELY = 10
"""Beyond, it is measured each so many blocks unless told otherwise, and the report says so."""


@dataclass(frozen=True)
class Simulation:
    """What is simulated: a policy on traffic, so many rollouts, judged one way."""

    policy: Policy
    traffic: Traffic
    runs: int = 1000
    seed: int = 1
    judge: Literal["evidence", "points"] = "evidence"
    checks: int = 1
    """Failed checks that roll back, where points judge."""
    recording: Recording | None = None
    replay: bool = False
    """Whether the recorded candidate is judged, block by block as it was (one rollout)."""
    soak: bool = True
    sparsely: int = SPARSELY
    """Each how many blocks clustering is measured where stages are longer than `short` blocks."""
    short: int = SHORT
    keep_going: bool = False
    """Whether a rollout that did not pass a stage goes on all the same (feasibility)."""

    @property
    def every(self) -> int:
        """Each how many blocks clustering is measured."""
        longest = max(self.policy.count_blocks(stage.max) for stage in self.policy.stages)
        return 1 if longest <= self.short else self.sparsely

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that are drawn: none on recorded counts; business where the policy has it."""
        if self.recording is not None:
            return ()
        return choose_signals(self.policy, self.traffic.signals is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """The rules that there are counts for."""
        return (*ERRORS, *(() if self.recording else LATENCY), *self.signals)

    @property
    def unasked(self) -> dict[str, tuple[str, ...]]:
        """The pass rules of each stage that there are no counts for; they count as passed."""
        known = (*self.names, "disagreement")
        found = {
            stage.name: tuple(rule for rule in stage.passes if rule not in known)
            for stage in self.policy.stages
        }
        return {stage: rules for stage, rules in found.items() if rules}


def open_arrivals(trial: Simulation, rng: np.random.Generator) -> Arrivals:
    """Open the source of blocks that the trial's traffic calls for."""
    traffic, policy = trial.traffic, trial.policy
    if trial.recording is not None and trial.replay:
        return ReplayArrivals(trial.recording, trial.runs, policy.count_blocks(policy.history))
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


EXTRA = ("max", "soak")
"""What rolls back besides rules."""
Progress = Callable[[str, float], None]
"""Told the stage's name and the share of it that is done."""


class RolloutBatch:
    """The simulated rollouts: counts so far, tests of the stage under way, what was decided."""

    def __init__(self, trial: Simulation) -> None:
        policy, runs = trial.policy, trial.runs
        self.trial, self.policy = trial, policy
        self.rng = np.random.default_rng(trial.seed)
        self.rules = simulated_rules(policy, trial.names)
        # A stream of its own: all else is drawn as it is without signals.
        signals = (trial.traffic.signals or Signals(), policy, trial.signals)
        self.signals = DrawnSignals(*signals, self.rng.spawn(1)[0])
        by_points = trial.judge == "points"
        self.names = ("failed checks",) if by_points else tuple(rule.name for rule in self.rules)
        self.arrivals = open_arrivals(trial, self.rng)
        history = policy.count_blocks(policy.history)
        blocks = history + sum(policy.count_blocks(stage.max) for stage in policy.stages)
        kinds = {kind_of(rule.name) for rule in self.rules}
        self.ledgers = {kind: ChampionHistory(runs, blocks, trial.every) for kind in sorted(kinds)}
        self.latencies: Latencies | None = None
        if not trial.recording:
            margin, far = policy.rules.latency_margin, policy.rules.latency_double.ratio
            limits = (margin.ratio, far, margin.min_effect_ms)
            lowest = trial.traffic.rate * policy.block * (1 - policy.stages[-1].weight)
            self.latencies = Latencies(trial.traffic, (runs, lowest), limits)
        self.clock, self.exposed = np.zeros(runs), np.zeros(runs)
        self.endings = np.full(runs, int(RolloutEnding.UNDECIDED), dtype=np.intp)
        self.rejected = np.full(runs, -1, dtype=np.intp)
        shape = (len(policy.stages), runs)
        self.passed, self.spent = np.full(shape, np.nan), np.full(shape, np.nan)
        self._watch_champion(history)

    def _watch_champion(self, blocks: int) -> None:
        """Draw the champion's traffic before the rollout."""
        runs = np.arange(self.trial.runs)
        self._open(0.0, blocks)
        for block in range(blocks):
            clock = np.full(len(runs), (block - blocks) * self.policy.block)
            self._record(runs, self._look(runs, clock))

    def _open(self, weight: float, blocks: int) -> None:
        self.weight = weight
        self.arrivals.open_stage(weight, blocks)

    def _look(self, runs: Indices, clock: Floats) -> Sight:
        counts = self.arrivals.draw(runs, clock)
        overruns = None
        if self.latencies is not None:
            known = self.latencies.is_known(runs)
            drawn = self.latencies.observe(self.rng, runs, counts, clock)
            overruns = drawn if known else None
        differing = self.rng.binomial(counts.n_c.astype(int), self.trial.traffic.disagreement)
        fault = self.trial.traffic.regression
        late = fault.has_begun(clock).astype(float)
        signals = self.signals.draw(counts, fault, late, self.weight == 0)
        return Sight(counts, overruns, differing.astype(float), signals)

    def _record(self, runs: Indices, sight: Sight) -> None:
        counts = sight.counts
        self.ledgers["errors"].append(runs, counts.n_b, counts.k_b)
        if sight.overruns is not None:
            self.ledgers["latency"].append(runs, counts.n_b, sight.overruns.usual)
        for name, block in sight.signals.items():
            self.ledgers[name].append(runs, np.asarray(block.n_b), np.asarray(block.k_b))

    def run_stage(self, place: int, progress: Progress | None = None) -> None:
        """Take every rollout that is still under way through a stage."""
        stage = self.policy.stages[place]
        blocks = self.policy.count_blocks(stage.max)
        half = self.policy.count_blocks(stage.min) // 2
        runs = np.flatnonzero(self.endings == RolloutEnding.UNDECIDED)
        self._open(stage.weight, blocks)
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
            shown = stage.weight > 0 or self.trial.replay
            self.exposed[runs] += sight.counts.n_c if shown else 0.0
            stopped = rejected >= 0
            self._stop(runs[stopped], rejected[stopped])
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
        self.endings[runs] = RolloutEnding.ROLLED_BACK
        self.rejected[runs] = rules

    def _stop(self, runs: Indices, rules: Indices) -> None:
        """End rollouts as the rule that rejected would have it: back, or paused for a person."""
        self._roll_back(runs, rules)
        pauses = [place for place, rule in enumerate(self.rules) if rule.action == "pause"]
        if self.trial.judge == "evidence":
            self.endings[runs[np.isin(rules, pauses)]] = RolloutEnding.PAUSED

    def _end_at_max(self, stage: Stage, runs: Indices) -> None:
        if self.trial.keep_going:
            return
        if stage.on_max == "roll_back":
            self._roll_back(runs, np.full(len(runs), len(self.names)))
        else:
            self.endings[runs] = RolloutEnding.HELD

    def run_soak(self) -> None:
        """Give the candidates that passed all traffic, and sound the alarms against frozen limits.

        They look at blocks; the gateway's breaker, which looks at requests, would be quicker.
        """
        runs = np.flatnonzero(self.endings == RolloutEnding.UNDECIDED)
        errors, slow, unsafe = (Alarm.begin(limit) for limit in (LIMIT, LIMIT, self._hit_limit()))
        self._open(1.0, self.policy.count_blocks(self.policy.soak))
        raised = np.zeros(len(runs), dtype=bool)
        for _ in range(self.policy.count_blocks(self.policy.soak)):
            sight = self._look(runs, self.clock[runs] * self.policy.block)
            errors = errors.update(sight.counts.n_c, sight.counts.k_c)
            raised = raised | errors.is_raised
            if sight.overruns is not None:
                slow = slow.update(sight.counts.n_c, sight.overruns.far)
                raised = raised | slow.is_raised
            if "guardrail" in sight.signals:
                block = sight.signals["guardrail"]
                unsafe = unsafe.update(block.n_c, block.k_c)
                raised = raised | unsafe.is_raised
            self.clock[runs] += ~raised
            self.exposed[runs] += np.where(raised, 0.0, sight.counts.n_c)
        self._roll_back(runs[raised], np.full(int(raised.sum()), len(self.names) + 1))

    def _hit_limit(self) -> float:
        """Give the soak's limit of guardrail hits, from the champion's share of them."""
        share = (self.trial.traffic.signals or Signals()).guardrails
        return min(self.policy.rules.guardrail.ratio * share, HIGHEST / 2)

    def finish(self) -> SimulationResult:
        """Give what became of all; who is still under way was promoted."""
        under_way = self.endings == RolloutEnding.UNDECIDED
        endings = np.where(under_way, int(RolloutEnding.PROMOTED), self.endings)
        measured = self.ledgers["errors"].is_measured(np.arange(self.trial.runs))
        return SimulationResult(
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


def simulate(trial: Simulation, progress: Progress | None = None) -> SimulationResult:
    """Simulate a policy's rollouts from shadow to the end of the soak."""
    rollouts = RolloutBatch(trial)
    if isinstance(rollouts.arrivals, UserArrivals):
        unfair = np.array(sorted(rollouts.arrivals.unfair), dtype=np.intp)
        rollouts.endings[unfair] = RolloutEnding.HELD
    for place in range(len(trial.policy.stages)):
        rollouts.run_stage(place, progress)
    if trial.soak:
        rollouts.run_soak()
    return rollouts.finish()
