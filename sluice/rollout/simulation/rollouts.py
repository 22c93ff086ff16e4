"""Many rollouts of one policy, simulated at once, stage after stage, each with its own clock."""

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
    ObservedBlock,
    PointJudge,
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
    """The results of a simulation, one entry per rollout; times in seconds since its start."""

    endings: NDArray[np.intp]
    rules: NDArray[np.intp]
    """Place in `names` of what rolled it back or paused it; -1 if nothing did."""
    seconds: Floats
    """When it ended."""
    exposed: Floats
    """Users' requests that were assigned to the candidate, without shadow."""
    passed: Floats
    """When it passed each stage, from the stage's start; nan if not; shape (stages, rollouts)."""
    spent: Floats
    """Candidate requests from the start of each stage's pass test until it passed; nan if not."""
    names: tuple[str, ...]
    stages: tuple[str, ...]
    measured: float
    """Share of the rollouts in which clustering was measured at the end."""

    def share(self, ending: RolloutEnding) -> float:
        """Return the share of rollouts with this ending."""
        return float(np.mean(self.endings == ending))

    def median_seconds(self, ending: RolloutEnding, start: float = 0.0) -> float | None:
        """Return the median time from `start` to an ending; None if none ended so."""
        chosen = self.seconds[self.endings == ending]
        return float(np.median(chosen) - start) if len(chosen) else None

    def median_exposed(self, ending: RolloutEnding) -> float | None:
        """Return the median of the requests exposed until an ending; None if none ended so."""
        chosen = self.exposed[self.endings == ending]
        return float(np.median(chosen)) if len(chosen) else None

    def count_rules(self, ending: RolloutEnding = RolloutEnding.ROLLED_BACK) -> dict[str, int]:
        """Count the rollouts that each rule rolled back (or paused), most frequent first."""
        found = {
            name: int(np.sum((self.rules == place) & (self.endings == ending)))
            for place, name in enumerate(self.names)
        }
        return dict(sorted(((k, v) for k, v in found.items() if v), key=lambda item: -item[1]))


SHORT = 240
"""Blocks of the longest stage up to which clustering is measured in every block."""
SPARSE_INTERVAL = 10
"""Blocks between two measurements in longer stages by default; the report says so."""


@dataclass(frozen=True)
class Simulation:
    """The settings of a simulation: policy, traffic, number of rollouts, way of judging."""

    policy: Policy
    traffic: Traffic
    runs: int = 1000
    seed: int = 1
    judge: Literal["evidence", "points"] = "evidence"
    checks: int = 1
    """Failed checks until a roll-back, if `judge` is `points`."""
    recording: Recording | None = None
    replay: bool = False
    """Whether the recorded candidate is judged, block by block as recorded (one rollout)."""
    soak: bool = True
    sparse_interval: int = SPARSE_INTERVAL
    """Blocks between two measurements of clustering if a stage is longer than `short` blocks."""
    short: int = SHORT
    keep_going: bool = False
    """Whether a rollout enters the next stage without passing the last one (feasibility)."""

    @property
    def clustering_interval(self) -> int:
        """Blocks between two measurements of clustering."""
        longest = max(self.policy.count_blocks(stage.max) for stage in self.policy.stages)
        return 1 if longest <= self.short else self.sparse_interval

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that are drawn: none on recorded counts; business if the policy has it."""
        if self.recording is not None:
            return ()
        return choose_signals(self.policy, self.traffic.signals is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """The rules that have counts."""
        return (*ERRORS, *(() if self.recording else LATENCY), *self.signals)

    @property
    def untested(self) -> dict[str, tuple[str, ...]]:
        """The pass rules of each stage that have no counts; they count as passed."""
        known = (*self.names, "disagreement")
        found = {
            stage.name: tuple(rule for rule in stage.passes if rule not in known)
            for stage in self.policy.stages
        }
        return {stage: rules for stage, rules in found.items() if rules}


def open_arrivals(simulation: Simulation, rng: np.random.Generator) -> Arrivals:
    """Return the source of blocks for the simulation's traffic."""
    traffic, policy = simulation.traffic, simulation.policy
    if simulation.recording is not None and simulation.replay:
        return ReplayArrivals(
            simulation.recording, simulation.runs, policy.count_blocks(policy.history)
        )
    if simulation.recording is not None:
        return RecordedArrivals(simulation.recording, traffic, simulation.runs, rng)
    if traffic.users is None:
        return DrawnArrivals(traffic, policy.block, rng)
    if policy.count == "units":
        return FirstRequestArrivals(traffic, policy.block, rng, simulation.runs)
    weights = [stage.weight for stage in policy.stages if stage.weight]
    users = UserArrivals(traffic, policy.block, rng, weights)
    users.prepare(simulation.runs, policy.rules.error_margin.margin)
    return users


EXTRA = ("max", "soak")
"""Causes of a roll-back besides rules."""
Progress = Callable[[str, float], None]
"""Called with the stage's name and the share of it that is done."""


class RolloutBatch:
    """The rollouts of one simulation: histories so far, and how each ended."""

    def __init__(self, simulation: Simulation) -> None:
        policy, runs = simulation.policy, simulation.runs
        self.simulation, self.policy = simulation, policy
        self.rng = np.random.default_rng(simulation.seed)
        self.rules = simulated_rules(policy, simulation.names)
        # A random stream of its own: all other draws are the same with and without signals.
        signals = (simulation.traffic.signals or Signals(), policy, simulation.signals)
        self.signals = DrawnSignals(*signals, self.rng.spawn(1)[0])
        by_points = simulation.judge == "points"
        self.names = ("failed checks",) if by_points else tuple(rule.name for rule in self.rules)
        self.arrivals = open_arrivals(simulation, self.rng)
        history = policy.count_blocks(policy.history)
        blocks = history + sum(policy.count_blocks(stage.max) for stage in policy.stages)
        kinds = {kind_of(rule.name) for rule in self.rules}
        self.histories = {
            kind: ChampionHistory(runs, blocks, simulation.clustering_interval)
            for kind in sorted(kinds)
        }
        self.latencies: Latencies | None = None
        if not simulation.recording:
            margin, far = policy.rules.latency_margin, policy.rules.latency_double.ratio
            limits = (margin.ratio, far, margin.min_effect_ms)
            lowest = simulation.traffic.rate * policy.block * (1 - policy.stages[-1].weight)
            self.latencies = Latencies(simulation.traffic, (runs, lowest), limits)
        self.clock, self.exposed = np.zeros(runs), np.zeros(runs)
        self.endings = np.full(runs, int(RolloutEnding.UNDECIDED), dtype=np.intp)
        self.rejected = np.full(runs, -1, dtype=np.intp)
        shape = (len(policy.stages), runs)
        self.passed, self.spent = np.full(shape, np.nan), np.full(shape, np.nan)
        self._draw_history(history)

    def _draw_history(self, blocks: int) -> None:
        """Draw the champion's traffic before the rollout."""
        runs = np.arange(self.simulation.runs)
        self._open(0.0, blocks)
        for block in range(blocks):
            clock = np.full(len(runs), (block - blocks) * self.policy.block)
            self._record(runs, self._draw(runs, clock))

    def _open(self, weight: float, blocks: int) -> None:
        self.weight = weight
        self.arrivals.open_stage(weight, blocks)

    def _draw(self, runs: Indices, clock: Floats) -> ObservedBlock:
        counts = self.arrivals.draw(runs, clock)
        overruns = None
        if self.latencies is not None:
            known = self.latencies.is_known(runs)
            drawn = self.latencies.observe(self.rng, runs, counts, clock)
            overruns = drawn if known else None
        differing = self.rng.binomial(counts.n_c.astype(int), self.simulation.traffic.disagreement)
        fault = self.simulation.traffic.regression
        late = fault.has_begun(clock).astype(float)
        signals = self.signals.draw(counts, fault, late, self.weight == 0)
        return ObservedBlock(counts, overruns, differing.astype(float), signals)

    def _record(self, runs: Indices, observed: ObservedBlock) -> None:
        counts = observed.counts
        self.histories["errors"].append(runs, counts.n_b, counts.k_b)
        if observed.overruns is not None:
            self.histories["latency"].append(runs, counts.n_b, observed.overruns.usual)
        for name, block in observed.signals.items():
            self.histories[name].append(runs, np.asarray(block.n_b), np.asarray(block.k_b))

    def run_stage(self, place: int, progress: Progress | None = None) -> None:
        """Simulate a stage of every rollout that has not ended."""
        stage = self.policy.stages[place]
        blocks = self.policy.count_blocks(stage.max)
        half = self.policy.count_blocks(stage.min) // 2
        runs = np.flatnonzero(self.endings == RolloutEnding.UNDECIDED)
        self._open(stage.weight, blocks)
        judge = self._open_judge(stage, len(runs))
        spent = np.zeros(self.simulation.runs)
        for block in range(1, blocks + 1):
            if not len(runs):
                break
            observed = self._draw(runs, self.clock[runs] * self.policy.block)
            rejected, passed = judge.judge(runs, observed, block)
            self._record(runs, observed)
            self.clock[runs] += 1
            spent[runs] += observed.counts.n_c if block > half else 0.0
            exposed = stage.weight > 0 or self.simulation.replay
            self.exposed[runs] += observed.counts.n_c if exposed else 0.0
            stopped = rejected >= 0
            self._stop(runs[stopped], rejected[stopped])
            advanced = runs[passed & ~stopped]
            self.passed[place, advanced] = block * self.policy.block
            self.spent[place, advanced] = spent[advanced]
            kept = ~(stopped | passed)
            if not kept.all():
                judge.keep(kept)
                runs = runs[kept]
            if progress:
                progress(stage.name, block / blocks)
        self._end_at_max(stage, runs)

    def _open_judge(self, stage: Stage, runs: int) -> Judge:
        if self.simulation.judge == "points":
            return PointJudge(self.policy, stage, runs, self.simulation.checks)
        return EvidenceJudge(self.policy, stage, self.rules, self.histories)

    def _roll_back(self, runs: Indices, rules: Indices) -> None:
        self.endings[runs] = RolloutEnding.ROLLED_BACK
        self.rejected[runs] = rules

    def _stop(self, runs: Indices, rules: Indices) -> None:
        """End rollouts by the action of the rejecting rule: rolled back, or paused."""
        self._roll_back(runs, rules)
        pauses = [place for place, rule in enumerate(self.rules) if rule.action == "pause"]
        if self.simulation.judge == "evidence":
            self.endings[runs[np.isin(rules, pauses)]] = RolloutEnding.PAUSED

    def _end_at_max(self, stage: Stage, runs: Indices) -> None:
        if self.simulation.keep_going:
            return
        if stage.on_max == "roll_back":
            self._roll_back(runs, np.full(len(runs), len(self.names)))
        else:
            self.endings[runs] = RolloutEnding.HELD

    def run_soak(self) -> None:
        """Simulate the soak of the candidates that passed every stage, with its alarms.

        The alarms are updated by blocks; the gateway's circuit breaker, by requests, is faster.
        """
        runs = np.flatnonzero(self.endings == RolloutEnding.UNDECIDED)
        errors, slow, unsafe = (Alarm.begin(limit) for limit in (LIMIT, LIMIT, self._hit_limit()))
        self._open(1.0, self.policy.count_blocks(self.policy.soak))
        raised = np.zeros(len(runs), dtype=bool)
        for _ in range(self.policy.count_blocks(self.policy.soak)):
            observed = self._draw(runs, self.clock[runs] * self.policy.block)
            errors = errors.update(observed.counts.n_c, observed.counts.k_c)
            raised = raised | errors.is_raised
            if observed.overruns is not None:
                slow = slow.update(observed.counts.n_c, observed.overruns.far)
                raised = raised | slow.is_raised
            if "guardrail" in observed.signals:
                block = observed.signals["guardrail"]
                unsafe = unsafe.update(block.n_c, block.k_c)
                raised = raised | unsafe.is_raised
            self.clock[runs] += ~raised
            self.exposed[runs] += np.where(raised, 0.0, observed.counts.n_c)
        self._roll_back(runs[raised], np.full(int(raised.sum()), len(self.names) + 1))

    def _hit_limit(self) -> float:
        """Return the soak's limit of guardrail hits, from the champion's share of them."""
        share = (self.simulation.traffic.signals or Signals()).guardrails
        return min(self.policy.rules.guardrail.ratio * share, HIGHEST / 2)

    def finish(self) -> SimulationResult:
        """Return the result; rollouts that nothing stopped were promoted."""
        under_way = self.endings == RolloutEnding.UNDECIDED
        endings = np.where(under_way, int(RolloutEnding.PROMOTED), self.endings)
        measured = self.histories["errors"].is_measured(np.arange(self.simulation.runs))
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


def simulate(simulation: Simulation, progress: Progress | None = None) -> SimulationResult:
    """Simulate a policy's rollouts from shadow to the end of the soak."""
    batch = RolloutBatch(simulation)
    if isinstance(batch.arrivals, UserArrivals):
        unfair = np.array(sorted(batch.arrivals.unfair), dtype=np.intp)
        batch.endings[unfair] = RolloutEnding.HELD
    for place in range(len(simulation.policy.stages)):
        batch.run_stage(place, progress)
    if simulation.soak:
        batch.run_soak()
    return batch.finish()
