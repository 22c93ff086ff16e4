"""The analysis of an experiment: first the split, then every metric by unit, then what follows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sluice.config.experiments.experiment import ExperimentConfig
from sluice.experiments.comparison import (
    Finding,
    Look,
    MetricResult,
    compare_guardrail,
    compare_metric,
)
from sluice.experiments.requests import CONTROL, TREATMENT, ExperimentUnits
from sluice.experiments.split import RatioCheck, check_split, pool_levels
from sluice.stats.experiments.multiple import adjust_p_values

Choice = Literal["promote", "iterate", "discard"]
LEAST_SEGMENT = 50
"""Units in each arm of a segment below which its result is not shown."""


@dataclass(frozen=True)
class SegmentResult:
    """The primary metric in one segment: exploration, which decides nothing."""

    segment: str
    result: MetricResult


@dataclass(frozen=True)
class ExperimentAnalysis:
    """What was found, from what, and what it recommends.

    `stopped` says why no metric was analysed; empty where they were.
    """

    as_of: float
    """Seconds since 1970."""
    looks: Literal["fixed", "sequential"]
    units_a: int
    units_b: int
    planned: int
    mixed: int
    waiting: int
    unassigned: int
    without_unit: int
    ratios: tuple[RatioCheck, ...]
    metrics: tuple[MetricResult, ...] = ()
    segments: tuple[SegmentResult, ...] = ()
    stopped: str = ""
    recommended: Choice = "iterate"
    reason: str = ""

    @property
    def primary(self) -> MetricResult | None:
        """The primary metric's result."""
        return next((item for item in self.metrics if item.role == "primary"), None)

    @property
    def harmed(self) -> tuple[MetricResult, ...]:
        """The guardrails that are proved to be broken."""
        return tuple(item for item in self.metrics if item.finding == "harmed")


def analyse_units(
    units: ExperimentUnits, config: ExperimentConfig, look: Look
) -> ExperimentAnalysis:
    """Analyse complete units; a broken split stops it before any metric is looked at."""
    ratios = check_split(units, config.split)
    found = ExperimentAnalysis(
        as_of=look.as_of,
        looks=config.looks,
        units_a=units.count(CONTROL),
        units_b=units.count(TREATMENT),
        planned=look.planned,
        mixed=units.mixed,
        waiting=units.waiting,
        unassigned=units.unassigned,
        without_unit=units.without_unit,
        ratios=ratios,
    )
    broken = [item.describe() for item in ratios if item.is_broken]
    if broken:
        reason = f"the sample ratio is not the planned one: {'; '.join(broken)}"
        return replace(found, stopped=reason, reason=reason)
    metrics = _compare_all(units, config, look)
    explored = tuple(_explore(units, config)) if config.looks == "fixed" else ()
    return recommend(replace(found, metrics=metrics, segments=explored), config)


def check_running(
    units: ExperimentUnits, config: ExperimentConfig, look: Look
) -> tuple[tuple[RatioCheck, ...], tuple[MetricResult, ...]]:
    """Return what may be checked at any time while it runs: the split, and the guardrails.

    With a broken split no guardrail is looked at.
    """
    ratios = check_split(units, config.split)
    if any(item.is_broken for item in ratios):
        return ratios, ()
    return ratios, tuple(
        compare_guardrail(units, config, look, metric) for metric in config.guardrails
    )


def _compare_all(
    units: ExperimentUnits, config: ExperimentConfig, look: Look
) -> tuple[MetricResult, ...]:
    whole = units, config, look
    primary = compare_metric(*whole, config.primary, "primary", config.alpha)
    share = config.alpha / max(1, len(config.secondary))
    level = share if config.looks == "sequential" else config.alpha
    secondary = [compare_metric(*whole, metric, "secondary", level) for metric in config.secondary]
    guardrails = [compare_guardrail(*whole, metric) for metric in config.guardrails]
    return (primary, *_correct(secondary, config), *guardrails)


def _correct(results: Sequence[MetricResult], config: ExperimentConfig) -> list[MetricResult]:
    """Correct the secondary metrics of a fixed test by Holm; a sequential one shares its alpha."""
    if config.looks == "sequential":
        return list(results)
    judged = [item for item in results if item.p_value is not None]
    adjusted = dict(
        zip(
            (item.name for item in judged),
            adjust_p_values([item.p_value or 0.0 for item in judged]),
            strict=True,
        )
    )
    return [
        item.correct(adjusted[item.name], config.alpha) if item.name in adjusted else item
        for item in results
    ]


def _explore(units: ExperimentUnits, config: ExperimentConfig) -> list[SegmentResult]:
    plain = config.model_copy(update={"cuped": None})
    found = []
    for name in config.segments:
        values = units.traits.get(name)
        if values is None:
            continue
        for level, _ in pool_levels(units.assigned_by[name]):
            chosen = values == level
            part = replace(
                units,
                arm=units.arm[chosen],
                entered=units.entered[chosen],
                covariate=None,
                metrics={key: item.take(chosen) for key, item in units.metrics.items()},
            )
            if min(part.count(CONTROL), part.count(TREATMENT)) < LEAST_SEGMENT:
                continue
            result = compare_metric(
                part, plain, Look(0.0, 0.0, 0, 0.0), config.primary, "primary", config.alpha
            )
            found.append(SegmentResult(f"{name}={level}", result))
    return found


def recommend(found: ExperimentAnalysis, config: ExperimentConfig) -> ExperimentAnalysis:
    """Return the analysis with what it recommends: promote, iterate or discard.

    Promote only where the primary metric is better and no guardrail is broken. Discard where a
    guardrail is broken or the primary metric is worse. All else says nothing for sure: iterate.
    """
    primary = found.primary
    if primary is None:
        return found
    if found.harmed:
        names = "; ".join(item.describe() for item in found.harmed)
        return replace(found, recommended="discard", reason=f"a guardrail is broken: {names}")
    if config.mode == "aa":
        return replace(found, reason=_describe_aa(primary))
    choices: dict[Finding, Choice] = {"better": "promote", "worse": "discard"}
    choice = choices.get(primary.finding, "iterate")
    open_ones = [
        item.name
        for item in found.metrics
        if item.role == "guardrail" and item.finding in ("not proved", "not judged")
    ]
    loud = f"; not proved to be held: {', '.join(open_ones)}" if open_ones else ""
    few = _say_few(found)
    return replace(found, recommended=choice, reason=f"{primary.describe()}{few}{loud}")


def _describe_aa(primary: MetricResult) -> str:
    if primary.finding in ("better", "worse"):
        return (
            f"equal arms differ: {primary.describe()}; by chance in one of so many at alpha, else "
            "assignment or logging is wrong"
        )
    return f"equal arms do not differ, as they should: {primary.describe()}"


def _say_few(found: ExperimentAnalysis) -> str:
    total = found.units_a + found.units_b
    if total >= found.planned:
        return ""
    return f"; {total:,} of {found.planned:,} planned units came, so a smaller effect may be missed"
