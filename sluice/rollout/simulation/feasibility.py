"""Whether a policy's stages can conclude with a given traffic, and which changes would help."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from sluice.config.policy import Policy, Rules, Stage
from sluice.rollout.simulation.rollouts import Progress, Simulation, SimulationResult, simulate
from sluice.rollout.simulation.traffic import Traffic

POWER = 0.8
"""A stage is feasible if this share of candidates equal to the champion passes it by its max."""
COARSE = 480
"""Most blocks of a stage in a trial run; a longer stage gets longer blocks."""
TRIED = 200
"""Rollouts of a trial run."""
WEIGHTS = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50)
WIDER = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
RATIOS = (1.15, 1.20, 1.30, 1.50, 1.75)
LONGER = (1.0, 1.25, 1.5, 2.0, 3.0)
LONG_INTERVAL = 60
"""Blocks between two measurements of clustering in a long stage and in a trial run."""
LONGEST = 4**3
"""Multiple of its max up to which a stage is simulated to find the requests that it needs."""


@dataclass(frozen=True)
class Change:
    """One change of the policy that makes a stage feasible."""

    key: str
    current: float
    proposed: float
    probability: float
    """Share of equal candidates that pass with the change."""


@dataclass(frozen=True)
class StageForecast:
    """The forecast of one stage for a candidate that equals the champion."""

    stage: str
    weight: float
    max_seconds: float
    probability: float
    """Share that passes by max."""
    median_seconds: float | None
    """Median time to pass, over the rollouts that pass."""
    needed: float | None
    """Candidate requests from the pass test's start until a share of `POWER` has passed."""
    needed_seconds: float | None
    """How long those requests take."""
    changes: tuple[Change, ...]

    @property
    def is_feasible(self) -> bool:
        """Whether enough healthy candidates pass in time."""
        return self.probability >= POWER


def forecast(
    policy: Policy,
    traffic: Traffic,
    runs: int = 400,
    seed: int = 1,
    progress: Progress | None = None,
) -> tuple[StageForecast, ...]:
    """Simulate each stage with equal arms, whether or not the stage before was passed."""
    result = pass_equal_arms(policy, traffic, (runs, seed), progress)
    found = []
    for place, stage in enumerate(policy.stages):
        passed = result.passed[place][~np.isnan(result.passed[place])]
        share = len(passed) / runs
        if progress:
            progress(f"{stage.name}: requests needed", 0.0)
        needed, seconds = find_need(policy, place, traffic, (min(runs, TRIED), seed))
        changes = () if share >= POWER else _find_changes(policy, place, (traffic, seconds), seed)
        median = float(np.median(passed)) if len(passed) else None
        figures = (share, median, needed, seconds, tuple(changes))
        found.append(StageForecast(stage.name, stage.weight, stage.max, *figures))
    return tuple(found)


def _single(policy: Policy, place: int, rules: Rules | None = None, **changes: float) -> Policy:
    """Return a policy of one changed stage; its history covers the stages before as well.

    A stage of very many blocks gets longer blocks.
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
    """Simulate candidates equal to the champion in every stage, whether or not they pass it."""
    runs, seed = size
    equal = Simulation(policy, traffic, runs, seed, soak=False, keep_going=True)
    return simulate(replace(equal, sparse_interval=LONG_INTERVAL), progress)


def _try(policy: Policy, traffic: Traffic, size: tuple[int, int]) -> float:
    """Return the share that passes a policy's only stage."""
    return float(np.mean(~np.isnan(_simulate_stage(policy, traffic, size).passed[0])))


def _simulate_stage(policy: Policy, traffic: Traffic, size: tuple[int, int]) -> SimulationResult:
    """Simulate equal arms in a policy's only stage; clustering is measured at long intervals."""
    equal = Simulation(policy, traffic, *size, soak=False, keep_going=True)
    return simulate(replace(equal, sparse_interval=LONG_INTERVAL, short=0))


def find_need(
    policy: Policy, place: int, traffic: Traffic, size: tuple[int, int]
) -> tuple[float | None, float | None]:
    """Return the candidate requests and seconds until a share of `POWER` passes a stage.

    Both count from the pass test's start. The stage is simulated without the wait for min, each
    time four times as long, until enough have passed.
    """
    stage = policy.stages[place]
    longer = 1
    while longer <= LONGEST:
        alone = _single(policy, place, max=stage.max * longer)
        alone = _without_wait(alone)
        result = _simulate_stage(alone, traffic, size)
        spent = np.sort(np.nan_to_num(result.spent[0], nan=np.inf))
        times = np.sort(np.nan_to_num(result.passed[0], nan=np.inf))
        at = ceil(POWER * len(spent)) - 1
        if np.isfinite(times[at]):
            return float(spent[at]), float(times[at]) - alone.block
        longer *= 4
    return None, None


def _without_wait(policy: Policy) -> Policy:
    """Return the policy with its only stage's pass test read from the second block on."""
    stage = policy.stages[0].model_copy(update={"min": 2 * policy.block})
    return policy.model_copy(update={"stages": (stage,)})


def _find_changes(
    policy: Policy, place: int, known: tuple[Traffic, float | None], seed: int
) -> Iterator[Change]:
    """Try changes of weight, duration and limits one at a time; yield the smallest sufficient."""
    traffic, seconds = known
    stage, size = policy.stages[place], (TRIED, seed + 1)
    above = [item.weight for item in policy.stages[place + 1 :]]
    weights = [w for w in WEIGHTS if stage.weight < w < (above[0] if above else 1)]

    def try_weight(weight: float) -> float:
        return _try(_single(policy, place, weight=weight), traffic, size)

    def try_max(longest: float) -> float:
        return _try(_single(policy, place, max=longest), traffic, size)

    if stage.weight:
        yield from _find_smallest(f"{stage.name}.weight", stage.weight, weights, try_weight)
    if seconds is not None:
        lowest = max(stage.min / 2 + seconds, stage.max)
        durations = [round_up(lowest * more) for more in LONGER]
        longer = [duration for duration in durations if duration > stage.max]
        yield from _find_smallest(f"{stage.name}.max", stage.max, longer, try_max)
    for key, current, values, change in _list_limits(policy.rules, stage):

        def try_limit(value: float, change: Callable[[float], Rules] = change) -> float:
            return _try(_single(policy, place, change(value)), traffic, size)

        yield from _find_smallest(key, current, values, try_limit)


def _find_smallest(
    key: str, current: float, values: Sequence[float], attempt: Callable[[float], float]
) -> Iterator[Change]:
    """Yield the smallest sufficient value of an ascending list; nothing if the last is not."""
    enough: Change | None = None
    low, high = 0, len(values) - 1
    while low <= high:
        # The last value first: if it is not enough, none is.
        at = high if enough is None else (low + high) // 2
        share = attempt(values[at])
        if share >= POWER:
            enough, high = Change(key, current, values[at], share), at - 1
        elif enough is None:
            return
        else:
            low = at + 1
    if enough is not None:
        yield enough


def _list_limits(
    rules: Rules, stage: Stage
) -> Iterator[tuple[str, float, list[float], Callable[[float], Rules]]]:
    """List the limits of a stage's pass tests: key, value, wider values, how to change it."""
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
