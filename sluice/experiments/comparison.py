"""One metric of two arms: the fixed test of its shape, or the look that holds at any time."""

from dataclasses import dataclass, replace
from math import log
from typing import Literal

import numpy as np

from sluice.config.experiments.experiment import (
    ExperimentConfig,
    GuardrailConfig,
    MetricConfig,
    Shape,
    Side,
)
from sluice.experiments.requests import CONTROL, TREATMENT, ExperimentUnits, MetricValues
from sluice.stats.experiments.covariate import AdjustedValues, adjust_values, linearise_ratio
from sluice.stats.experiments.means import (
    MeanComparison,
    UnitEstimate,
    Values,
    compare_means,
    compare_ratios,
    estimate_mean,
    estimate_ratio,
)
from sluice.stats.experiments.proportions import RateComparison, compare_rates
from sluice.stats.experiments.sequential import (
    UnitBlock,
    bound_sequence,
    find_p_value,
    measure_rates,
)

Finding = Literal[
    "better", "worse", "no difference", "not judged", "harmed", "held", "not proved"
]  # fmt: skip
Role = Literal["primary", "secondary", "guardrail"]
LEAST_STEP = 0.02
"""Step of the alternatives of a rate for which nothing was planned."""


@dataclass(frozen=True)
class Look:
    """When an experiment is looked at, and what was fixed before it began.

    What a sequential test bets on may not depend on what it looks at: it is in the plan.
    """

    as_of: float
    """Seconds since 1970."""
    start: float
    """When the experiment began; blocks of units are counted from there."""
    planned: int
    """Units of the plan."""
    effect: float
    """The absolute effect of the plan, on the primary metric."""


@dataclass(frozen=True)
class PlainDifference:
    """The same difference without the covariate, shown beside the adjusted one."""

    difference: float
    low: float
    high: float
    p_value: float | None
    variance_ratio: float
    """Variance of a unit with the covariate by that without; .6 saves 40 % of the units."""
    known: int
    """Units that have a covariate."""


@dataclass(frozen=True)
class MetricResult:
    """One metric: figures of control (a) and treatment (b), their difference, what follows.

    `lift` is relative to the control; None where that is 0. `p_value` is None where the test gives
    none; `adjusted` is the one after Holm's correction. `note` says why it was not judged.
    """

    name: str
    role: Role
    shape: Shape
    better: Side
    units_a: int
    units_b: int
    figure_a: float | None = None
    figure_b: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    lift: float | None = None
    score: float | None = None
    p_value: float | None = None
    adjusted: float | None = None
    finding: Finding = "not judged"
    method: str = ""
    note: str = ""
    margin: float | None = None
    plain: PlainDifference | None = None

    def correct(self, adjusted: float, alpha: float) -> "MetricResult":
        """Return the result with a corrected p-value, which decides what was found."""
        finding = self.finding if adjusted < alpha else "no difference"
        return replace(self, adjusted=adjusted, finding=finding)

    def describe(self) -> str:
        """Return the result as text: figures, difference with interval, p."""
        if self.difference is None or self.low is None or self.high is None:
            return f"{self.name} is not judged: {self.note}"
        figures = f"{self.figure_b:.4g} against {self.figure_a:.4g}"
        lift = f", lift {self.lift:+.1%}" if self.lift is not None else ""
        p_value = f", p {write_p(self.p_value)}" if self.p_value is not None else ""
        interval = f"[{self.low:+.4g}, {self.high:+.4g}]"
        return (
            f"{self.name} {figures}, difference {self.difference:+.4g} {interval}{lift}{p_value}: "
            f"{self.finding}"
        )


def write_p(p_value: float | None) -> str:
    """Return a p-value as text; a very small one stays above 0."""
    if p_value is None:
        return ""
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.1e}"


def compare_metric(
    units: ExperimentUnits,
    config: ExperimentConfig,
    look: Look,
    metric: MetricConfig,
    role: Role,
    alpha: float,
) -> MetricResult:
    """Compare a primary or secondary metric; what cannot be compared is not judged, with why."""
    empty = _begin(units, metric, role)
    try:
        if config.looks == "fixed":
            return _compare_fixed(units, config, metric, empty, alpha)
        return _compare_at_look(units, config, look, metric, (empty, alpha))
    except ValueError as error:
        return replace(empty, note=str(error))


def compare_guardrail(
    units: ExperimentUnits, config: ExperimentConfig, look: Look, metric: GuardrailConfig
) -> MetricResult:
    """Judge a guardrail so that it may be looked at at any time: harmed, held or not proved.

    Harmed: proved to be worse by more than its margin. Held: proved to be within it.
    """
    empty = replace(_begin(units, metric, "guardrail"), margin=metric.margin)
    try:
        a, b = _estimate(units, metric, CONTROL), _estimate(units, metric, TREATMENT)
        bounds = bound_sequence(a, b, 2 * metric.alpha, look.planned)
        if bounds is None:
            return replace(empty, figure_a=a.value, figure_b=b.value, note=_say_few(units))
        harm = bounds if metric.better == "lower" else (-bounds[1], -bounds[0])
        is_harmed = harm[0] > metric.margin
        method = "confidence sequence"
        if metric.shape == "rate":
            blocks = _list_blocks(units, config, look, metric)
            step = max(metric.margin, LEAST_STEP)
            logs = measure_rates(blocks, step, metric.margin)
            is_harmed, method = max([0.0, *logs]) >= log(1 / metric.alpha), "e-value"
    except ValueError as error:
        return replace(empty, note=str(error))
    finding: Finding = "harmed" if is_harmed else "not proved"
    if not is_harmed and harm[1] < metric.margin:
        finding = "held"
    return _fill(empty, a, b, bounds, finding, method)


def _begin(units: ExperimentUnits, metric: MetricConfig, role: Role) -> MetricResult:
    arms = units.count(CONTROL), units.count(TREATMENT)
    return MetricResult(metric.name, role, metric.shape, metric.better, *arms)


def _compare_fixed(
    units: ExperimentUnits,
    config: ExperimentConfig,
    metric: MetricConfig,
    empty: MetricResult,
    alpha: float,
) -> MetricResult:
    values = units.metrics[metric.name]
    a, b = (values.take(units.arm == arm) for arm in (CONTROL, TREATMENT))
    plain = _test(metric.shape, a, b, alpha)
    is_adjusted = units.covariate is not None and metric.name == config.primary.name
    if not is_adjusted or not config.cuped:
        return _read(empty, plain)
    adjusted = _adjust(units, values, metric.shape)
    arms = [adjusted.values[units.arm == arm] for arm in (CONTROL, TREATMENT)]
    tested = compare_means(arms[0], arms[1], alpha)
    shown = _read(empty, plain)
    finding = _find(tested.difference if tested.significant else 0.0, empty.better)
    beside = PlainDifference(
        plain.difference,
        plain.low,
        plain.high,
        plain.p_value,
        adjusted.variance_ratio,
        adjusted.known,
    )
    return replace(
        shown,
        difference=tested.difference,
        low=tested.low,
        high=tested.high,
        lift=tested.difference / abs(shown.figure_a) if shown.figure_a else None,
        score=tested.t_score,
        p_value=tested.p_value,
        finding=finding,
        method=f"{tested.method}, CUPED",
        plain=beside,
    )


def _test(
    shape: Shape, a: MetricValues, b: MetricValues, alpha: float
) -> RateComparison | MeanComparison:
    if shape == "rate":
        counts = (int(a.sums.sum()), len(a.sums), int(b.sums.sum()), len(b.sums))
        return compare_rates(*counts, alpha)
    if shape == "mean":
        return compare_means(a.sums, b.sums, alpha)
    return compare_ratios((a.sums, a.counts), (b.sums, b.counts), alpha)


def _read(empty: MetricResult, found: RateComparison | MeanComparison) -> MetricResult:
    if isinstance(found, RateComparison):
        figures, score = (found.rate_a, found.rate_b), found.z_score
    else:
        figures, score = (found.mean_a, found.mean_b), found.t_score
    return replace(
        empty,
        figure_a=figures[0],
        figure_b=figures[1],
        difference=found.difference,
        low=found.low,
        high=found.high,
        lift=found.lift,
        score=score,
        p_value=found.p_value,
        finding=_find(found.difference if found.significant else 0.0, empty.better),
        method=found.method,
    )


def _adjust(units: ExperimentUnits, values: MetricValues, shape: Shape) -> AdjustedValues:
    plain = linearise_ratio(values.sums, values.counts) if shape == "ratio" else values.sums
    covariate = units.covariate if units.covariate is not None else np.full(len(plain), np.nan)
    return adjust_values(plain, covariate, units.arm.astype(float))


def _compare_at_look(
    units: ExperimentUnits,
    config: ExperimentConfig,
    look: Look,
    metric: MetricConfig,
    terms: tuple[MetricResult, float],
) -> MetricResult:
    empty, alpha = terms
    a, b = _estimate(units, metric, CONTROL), _estimate(units, metric, TREATMENT)
    adjusts = config.cuped and metric.name == config.primary.name and units.covariate is not None
    tested, method, beside = (a, b), "confidence sequence", None
    if adjusts:
        adjusted = _adjust(units, units.metrics[metric.name], metric.shape)
        arms = [adjusted.values[units.arm == arm] for arm in (CONTROL, TREATMENT)]
        tested = estimate_mean(arms[0]), estimate_mean(arms[1])
        method = "confidence sequence, CUPED"
    bounds = bound_sequence(*tested, alpha, look.planned)
    if bounds is None:
        return replace(empty, figure_a=a.value, figure_b=b.value, note=_say_few(units))
    difference = tested[1].value - tested[0].value
    if adjusts:
        raw = bound_sequence(a, b, alpha, look.planned) or bounds
        beside = PlainDifference(
            b.value - a.value, *raw, None, adjusted.variance_ratio, adjusted.known
        )
    if metric.shape == "rate":
        p_value = _test_blocks(units, config, look, metric)
        proved = difference if p_value < alpha else 0.0
        found = _fill(empty, a, b, bounds, _find(proved, metric.better), "e-value")
        return replace(found, p_value=p_value)
    proved = difference if bounds[0] > 0 or bounds[1] < 0 else 0.0
    found = _fill(empty, a, b, bounds, _find(proved, metric.better), method)
    lift = difference / abs(a.value) if a.value else None
    return replace(found, difference=difference, lift=lift, plain=beside)


def _test_blocks(
    units: ExperimentUnits, config: ExperimentConfig, look: Look, metric: MetricConfig
) -> float:
    """Return the p-value of a rate that holds at any time, both directions at half of alpha."""
    blocks = _list_blocks(units, config, look, metric, orient=False)
    is_primary = metric.name == config.primary.name
    effect = look.effect if is_primary and look.effect > 0 else LEAST_STEP
    other = [UnitBlock(one.units_b, one.hits_b, one.units_a, one.hits_a) for one in blocks]
    both = (find_p_value(measure_rates(each, effect)) for each in (blocks, other))
    return min(1.0, 2 * min(both))


def _list_blocks(
    units: ExperimentUnits,
    config: ExperimentConfig,
    look: Look,
    metric: MetricConfig,
    orient: bool = True,
) -> list[UnitBlock]:
    """Return the blocks whose units are all complete; `orient`: a hit is then what is bad."""
    lasts = config.block + config.window + config.wait
    blocks = max(0, int((look.as_of - look.start - lasts) // config.block) + 1)
    place = ((units.entered - look.start) // config.block).astype(int)
    sums = units.metrics[metric.name].sums
    hits = 1 - sums if orient and metric.better == "higher" else sums
    kept = (place >= 0) & (place < blocks)
    counts = []
    for arm in (CONTROL, TREATMENT):
        chosen = kept & (units.arm == arm)
        counts += [
            np.bincount(place[chosen], minlength=blocks),
            np.bincount(place[chosen], weights=hits[chosen], minlength=blocks),
        ]
    return [UnitBlock(*(int(each[number]) for each in counts)) for number in range(blocks)]


def _estimate(units: ExperimentUnits, metric: MetricConfig, arm: int) -> UnitEstimate:
    values: MetricValues = units.metrics[metric.name].take(units.arm == arm)
    if metric.shape == "ratio":
        return estimate_ratio(values.sums, values.counts)
    sums: Values = values.sums
    return estimate_mean(sums)


def _fill(
    empty: MetricResult,
    a: UnitEstimate,
    b: UnitEstimate,
    bounds: tuple[float, float],
    finding: Finding,
    method: str,
) -> MetricResult:
    difference = b.value - a.value
    return replace(
        empty,
        figure_a=a.value,
        figure_b=b.value,
        difference=difference,
        low=bounds[0],
        high=bounds[1],
        lift=difference / abs(a.value) if a.value else None,
        finding=finding,
        method=method,
    )


def _find(proved: float, better: Side) -> Finding:
    """Return what a proved difference means; 0: nothing is proved."""
    if not proved:
        return "no difference"
    return "better" if (proved > 0) == (better == "higher") else "worse"


def _say_few(units: ExperimentUnits) -> str:
    arms = units.count(CONTROL), units.count(TREATMENT)
    return f"found {arms[0]:,} and {arms[1]:,} complete units; a look needs 100 in each arm"
