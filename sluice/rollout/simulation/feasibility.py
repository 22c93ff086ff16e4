"""Whether a policy's stages can conclude at a traffic, and what would have to change if not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from sluice.config.policy import Policy, Rules, Stage
from sluice.rollout.simulation.rollouts import Progress, Simulation, SimulationResult, simulate
from sluice.rollout.simulation.traffic import Traffic

POWER = 0.8
"""A stage is feasible where so many candidates that equal the champion pass it by its max."""
COARSE = 480
"""Most blocks of a stage that is only tried; longer ones get longer blocks."""
TRIED = 200
"""Rollouts of a stage that is only tried."""
WEIGHTS = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50)
WIDER = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
RATIOS = (1.15, 1.20, 1.30, 1.50, 1.75)
LONGER = (1.0, 1.25, 1.5, 2.0, 3.0)
SPARSELY = 60
"""Each how many blocks clustering is measured in a long stage, and in one that is only tried."""
LONGEST = 4**3
"""How many times its max a stage is followed to find what it would need."""


@dataclass(frozen=True)
class Change:
    """One change of the policy that makes a stage feasible: a key, its values, what it brings."""

    key: str
    found: float
    wanted: float
    probability: float


@dataclass(frozen=True)
class StageForecast:
    """What to expect of one stage where candidate and champion are equal."""

    stage: str
    weight: float
    max_seconds: float
    probability: float
    """Share that passes by max."""
    median_seconds: float | None
    """Median time to pass, of those that do."""
    needed: float | None
    """Candidate requests by which so many pass as power asks, from the pass test's start on."""
    needed_seconds: float | None
    """How long those take."""
    changes: tuple[Change, ...]

    @property
    def is_feasible(self) -> bool:
        """Whether enough of the healthy pass in time."""
        return self.probability >= POWER


def forecast(
    policy: Policy,
    traffic: Traffic,
    runs: int = 400,
    seed: int = 1,
    progress: Progress | None = None,
) -> tuple[StageForecast, ...]:
    """Simulate each stage with equal arms, whatever came of the stage before."""
    outcome = pass_equal_arms(policy, traffic, (runs, seed), progress)
    found = []
    for place, stage in enumerate(policy.stages):
        passed = outcome.passed[place][~np.isnan(outcome.passed[place])]
        share = len(passed) / runs
        if progress:
            progress(f"{stage.name}: what it needs", 0.0)
        needed, seconds = find_need(policy, place, traffic, (min(runs, TRIED), seed))
        changes = () if share >= POWER else _find_changes(policy, place, (traffic, seconds), seed)
        median = float(np.median(passed)) if len(passed) else None
        outlook = (share, median, needed, seconds, tuple(changes))
        found.append(StageForecast(stage.name, stage.weight, stage.max, *outlook))
    return tuple(found)


def _single(policy: Policy, place: int, rules: Rules | None = None, **changes: float) -> Policy:
    """Give a policy of one stage, changed, with the champion known as well as it will be then.

    Where the stage has very many blocks, longer ones stand in for them.
    """
    stage = policy.stages[place].model_copy(update=changes)
    before = policy.history + sum(item.min for item in policy.stages[:place])
    times = ceil(stage.max / policy.block / COARSE)
    update = {"block": policy.block * times, "history": before, "stages": (stage,)}
    return policy.model_copy(update={**update, **({"rules": rules} if rules else {})})


def pass_equal_arms(
    policy: Policy,
    traffic: Traffic,
    size: tuple[int, int],
    progress: Progress | None = None,
) -> SimulationResult:
    """Take candidates that equal the champion through every stage, whether they pass it or not."""
    runs, seed = size
    trial = Simulation(policy, traffic, runs, seed, soak=False, sparsely=SPARSELY, keep_going=True)
    return simulate(trial, progress)


def _try(policy: Policy, traffic: Traffic, size: tuple[int, int]) -> float:
    """Give the share that passes a policy's only stage."""
    return float(np.mean(~np.isnan(_follow(policy, traffic, size).passed[0])))


def _follow(policy: Policy, traffic: Traffic, size: tuple[int, int]) -> SimulationResult:
    """Take equal arms through a stage that is only tried: clustering is measured now and then."""
    equal = Simulation(policy, traffic, *size, soak=False, keep_going=True)
    return simulate(replace(equal, sparsely=SPARSELY, short=0))


def find_need(
    policy: Policy, place: int, traffic: Traffic, size: tuple[int, int]
) -> tuple[float | None, float | None]:
    """Give the candidate requests, and the time, from the pass test's start to the power asked.

    The stage is followed from its beginning, without the wait for min; four times as long again
    until enough have passed.
    """
    stage = policy.stages[place]
    longer = 1
    while longer <= LONGEST:
        alone = _single(policy, place, max=stage.max * longer)
        alone = _without_wait(alone)
        outcome = _follow(alone, traffic, size)
        spent = np.sort(np.nan_to_num(outcome.spent[0], nan=np.inf))
        times = np.sort(np.nan_to_num(outcome.passed[0], nan=np.inf))
        at = ceil(POWER * len(spent)) - 1
        if np.isfinite(times[at]):
            return float(spent[at]), float(times[at]) - alone.block
        longer *= 4
    return None, None


def _without_wait(policy: Policy) -> Policy:
    """Give the policy with its only stage's pass test begun and read from the second block on."""
    stage = policy.stages[0].model_copy(update={"min": 2 * policy.block})
    return policy.model_copy(update={"stages": (stage,)})


def _find_changes(
    policy: Policy, place: int, known: tuple[Traffic, float | None], seed: int
) -> Iterator[Change]:
    """Try changes of weight, duration and limits, each alone, and give the least that is enough."""
    traffic, seconds = known
    stage, size = policy.stages[place], (TRIED, seed + 1)
    above = [item.weight for item in policy.stages[place + 1 :]]
    weights = [w for w in WEIGHTS if stage.weight < w < (above[0] if above else 1)]

    def weigh(weight: float) -> float:
        return _try(_single(policy, place, weight=weight), traffic, size)

    def last(longest: float) -> float:
        return _try(_single(policy, place, max=longest), traffic, size)

    if stage.weight:
        yield from _least(f"{stage.name}.weight", stage.weight, weights, weigh)
    if seconds is not None:
        lowest = max(stage.min / 2 + seconds, stage.max)
        durations = [round_up(lowest * more) for more in LONGER]
        longer = [duration for duration in durations if duration > stage.max]
        yield from _least(f"{stage.name}.max", stage.max, longer, last)
    for key, found, values, change in _limits(policy.rules, stage):

        def widen(value: float, change: Callable[[float], Rules] = change) -> float:
            return _try(_single(policy, place, change(value)), traffic, size)

        yield from _least(key, found, values, widen)


def _least(
    key: str, found: float, values: Sequence[float], attempt: Callable[[float], float]
) -> Iterator[Change]:
    """Give the first value, in rising order, that is enough; nothing where the last is not."""
    enough: Change | None = None
    low, high = 0, len(values) - 1
    while low <= high:
        # The last value first: where it is not enough, none is.
        at = high if enough is None else (low + high) // 2
        share = attempt(values[at])
        if share >= POWER:
            enough, high = Change(key, found, values[at], share), at - 1
        elif enough is None:
            return
        else:
            low = at + 1
    if enough is not None:
        yield enough


def _limits(
    rules: Rules, stage: Stage
) -> Iterator[tuple[str, float, list[float], Callable[[float], Rules]]]:
    """Give the limits that a stage's pass tests are held to, with wider ones."""
    if "error_margin" in stage.passes:
        margin = rules.error_margin.margin
        values = [margin * times for times in WIDER if margin * times < 0.5]
        yield "rules.error_margin.margin", margin, values, _changer(rules, "error_margin", "margin")
    business = rules.business
    if "business" in stage.passes and business != "none":
        margin = business.margin
        values = [margin * times for times in WIDER if margin * times < business.cap / 2]
        yield "rules.business.margin", margin, values, _changer(rules, "business", "margin")
    if "latency_margin" in stage.passes:
        ratio = rules.latency_margin.ratio
        values = [value for value in RATIOS if ratio < value < rules.latency_double.ratio]
        yield (
            "rules.latency_margin.ratio",
            ratio,
            values,
            _changer(rules, "latency_margin", "ratio"),
        )
    if "disagreement" in stage.passes:
        limit = rules.disagreement.limit
        values = [limit * times for times in WIDER if limit * times < 0.5]
        yield "rules.disagreement.limit", limit, values, _changer(rules, "disagreement", "limit")


def _changer(rules: Rules, rule: str, key: str) -> Callable[[float], Rules]:
    def change(value: float) -> Rules:
        changed = getattr(rules, rule).model_copy(update={key: value})
        return rules.model_copy(update={rule: changed})

    return change


def round_up(seconds: float) -> float:
    """Round a duration up to seconds below two minutes, minutes below two hours, else hours."""
    unit = 1.0 if seconds < 120 else 60.0 if seconds < 7200 else 3600.0
    return ceil(seconds / unit) * unit
