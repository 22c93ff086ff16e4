"""The plan of an experiment: units, duration, and what effect the traffic could find."""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from sluice.config.experiments.experiment import ExperimentConfig
from sluice.experiments.requests import ExperimentRequests, MetricValues, build_units
from sluice.stats.experiments.means import Values, estimate_ratio
from sluice.stats.experiments.power import count_units, find_effect
from sluice.stats.experiments.sequential import LEAST_CONTROL, stretch_units

DAY = 86_400.0
LEAST_HISTORY = 50
"""Complete units of past traffic from which a plan is made."""
SHOWN_PERIODS = 12
"""Periods for which a plan says what effect could be found."""
LONGEST = 52
"""Periods beyond which an experiment is refused: the world will have changed."""


@dataclass(frozen=True)
class EffectPoint:
    """What could be found after so many seconds: units by then, and the least relative effect."""

    seconds: float
    units: int
    effect: float


@dataclass(frozen=True)
class ExperimentPlan:
    """How many units an experiment needs, how long that takes, and from what that was computed."""

    baseline: float
    """The primary metric in the control."""
    deviation: float
    """Standard deviation of one unit's part in it."""
    effect: float
    """The absolute effect that is to be found."""
    units: int
    """Complete units of both arms together."""
    units_a: int
    units_b: int
    units_a_day: float
    """New units a day."""
    periods: int
    seconds: float
    """From the start to the end: whole periods, and the last units' window and wait."""
    source: str
    """`traffic` or `assumed`."""
    history_units: int
    """Complete units of past traffic that it was computed from; 0 where assumed."""
    curve: tuple[EffectPoint, ...]
    found_in_time: float
    """The least relative effect that the planned duration finds."""

    @property
    def days(self) -> float:
        """The duration in days."""
        return self.seconds / DAY


def plan_experiment(
    config: ExperimentConfig, history: ExperimentRequests | None, span: tuple[float, float]
) -> ExperimentPlan:
    """Plan from past traffic between two times, or from what the file assumes where it is too thin.

    Raises:
        ValueError: there is too little traffic and nothing is assumed; the metric does not vary or
            is 0; or the experiment would take more than 52 periods.
    """
    found = _read_history(config, history, span[1]) if history else None
    if found is not None:
        baseline, variance, entered = found
        # Units that came within the last window are not complete, and are not among them.
        arrivals = UnitArrivals.from_entries(
            entered, (span[0], span[1] - config.window - config.wait)
        )
        source, units = "traffic", len(entered)
    elif config.assumed is not None:
        assumed = config.assumed
        baseline, source, units = assumed.mean, "assumed", 0
        spread = baseline * (1 - baseline) if config.primary.shape == "rate" else 0.0
        variance = (assumed.deviation or 0.0) ** 2 or spread
        arrivals = UnitArrivals((), 0.0, assumed.units_a_day / DAY)
    else:
        raise ValueError(
            f"found fewer than {LEAST_HISTORY} complete units in the traffic of the last "
            f"{config.history / DAY:g} days; next: wait for traffic, or write `assumed:` with mean "
            "and units_a_day into the experiment's file"
        )
    return _compute(config, (baseline, variance), arrivals, (source, units))


@dataclass(frozen=True)
class UnitArrivals:
    """New units over time: as they came in past traffic, and then at the pace of its second half.

    A user who comes back is no new unit, so the pace falls while an experiment lasts.
    """

    entries: tuple[float, ...]
    """Seconds from the beginning of the past traffic, ascending."""
    span: float
    pace: float
    """Units a second after that."""

    @classmethod
    def from_entries(cls, entered: Values, span: tuple[float, float]) -> "UnitArrivals":
        """Return the arrivals that were seen between two times."""
        times = np.sort(entered) - span[0]
        length = max(1.0, span[1] - span[0])
        late = float(np.sum(times > length / 2))
        return cls(tuple(times.tolist()), length, late / (length / 2))

    def count(self, seconds: float) -> int:
        """Return the new units after so many seconds."""
        if seconds <= self.span and self.entries:
            return int(np.searchsorted(self.entries, seconds, side="right"))
        return len(self.entries) + floor((seconds - self.span) * self.pace)

    def find_time(self, units: int) -> float:
        """Return the seconds until so many units have come; infinite where they never do."""
        if units <= len(self.entries):
            return self.entries[units - 1]
        missing = units - len(self.entries)
        return self.span + missing / self.pace if self.pace > 0 else float("inf")


def _read_history(
    config: ExperimentConfig, history: ExperimentRequests, as_of: float
) -> tuple[float, float, Values] | None:
    """Return baseline, variance of a unit and entries of past traffic; None where it is thin."""
    units = build_units(history, config, as_of)
    values = units.metrics[config.primary.name]
    if len(values.sums) < LEAST_HISTORY:
        return None
    return *measure_baseline(values), units.entered


def measure_baseline(values: MetricValues) -> tuple[float, float]:
    """Return a metric over all units, and the variance of one unit's part in it.

    Raises:
        ValueError: nothing was counted.
    """
    found = estimate_ratio(values.sums, values.counts)
    return found.value, found.variance * found.units


def _compute(
    config: ExperimentConfig,
    unit: tuple[float, float],
    arrivals: UnitArrivals,
    origin: tuple[str, int],
) -> ExperimentPlan:
    baseline, variance = unit
    if not baseline:
        raise ValueError(
            f"found {config.primary.name} at 0 in past traffic, of which no relative effect is "
            "defined; next: choose another primary metric, or write `assumed:`"
        )
    effect = abs(baseline) * config.minimum_detectable_effect
    variances = _vary(config, baseline, variance, effect)
    more = stretch_units(config.alpha, config.power) if config.looks == "sequential" else 1.0
    rates = config.split, config.alpha, config.power, _pool(config, baseline, effect)
    lead = _count_lead(config, arrivals)
    needed = lead + ceil(more * count_units(effect, variances, *rates))
    lasts = config.window + config.wait
    periods = (
        max(1, ceil(round(arrivals.find_time(needed) / config.period, 9)))
        if (arrivals.find_time(needed) <= LONGEST * config.period)
        else LONGEST + 1
    )
    curve = tuple(
        EffectPoint(
            seconds=number * config.period,
            units=arrivals.count(number * config.period),
            effect=find_effect(
                max(1.0, (arrivals.count(number * config.period) - lead) / more), variances, *rates
            )
            / abs(baseline),
        )
        for number in range(1, max(SHOWN_PERIODS, min(periods, LONGEST)) + 1)
    )
    if periods > LONGEST:
        raise ValueError(
            f"found {arrivals.pace * DAY:,.1f} new units a day, with which {needed:,} units take "
            f"more than {LONGEST} periods; the traffic finds {curve[3].effect:.1%} in 4 periods; "
            "next: a larger minimum_detectable_effect, a split nearer to .5, or another metric"
        )
    treated = round(needed * config.split)
    return ExperimentPlan(
        baseline=baseline,
        deviation=float(np.sqrt(variance)),
        effect=effect,
        units=needed,
        units_a=needed - treated,
        units_b=treated,
        units_a_day=arrivals.count(periods * config.period) / (periods * config.period) * DAY,
        periods=periods,
        seconds=periods * config.period + lasts,
        source=origin[0],
        history_units=origin[1],
        curve=curve,
        found_in_time=curve[periods - 1].effect,
    )


def _vary(
    config: ExperimentConfig, baseline: float, variance: float, effect: float
) -> tuple[float, float]:
    """Return the variances of a unit in both arms; a rate's follows from the rate.

    Raises:
        ValueError: the effect leads to a rate outside of 0 to 1.
    """
    if config.primary.shape != "rate":
        return variance, variance
    wanted = _shift(config, baseline, effect)
    if not 0 < wanted < 1:
        raise ValueError(
            f"found {config.primary.name} at {baseline:.1%}, which an effect of "
            f"{config.minimum_detectable_effect:.0%} would make {wanted:.1%}; allowed: between 0 "
            "and 1; next: a smaller minimum_detectable_effect"
        )
    return baseline * (1 - baseline), wanted * (1 - wanted)


def _pool(config: ExperimentConfig, baseline: float, effect: float) -> float | None:
    """Return the variance by which a test of rates judges; None: by each arm's own.

    Such a test takes the arms together. With an uneven split that variance is mostly the
    control's, and the variance of the difference mostly the treatment's.
    """
    if config.primary.shape != "rate" or config.cuped:
        return None
    wanted = _shift(config, baseline, effect)
    pooled = (1 - config.split) * baseline + config.split * wanted
    return pooled * (1 - pooled)


def _count_lead(config: ExperimentConfig, arrivals: UnitArrivals) -> int:
    """Return the units of the first blocks of a sequential rate, which are no evidence yet.

    A block's bets come from the blocks before it, with enough units in each arm.
    """
    if config.primary.shape != "rate" or config.looks != "sequential":
        return 0
    block = max(1, arrivals.count(config.block))
    least = LEAST_CONTROL / min(config.split, 1 - config.split)
    return ceil(least / block) * block


def _shift(config: ExperimentConfig, baseline: float, effect: float) -> float:
    return baseline + (effect if config.primary.better == "higher" else -effect)
