"""The facts of an experiment as rows of text, for Prefect's page, HTML and terminal alike."""

from collections.abc import Iterator
from datetime import datetime

from sluice.experiments.comparison import MetricResult, write_p
from sluice.experiments.record import ExperimentRecord
from sluice.experiments.split import RatioCheck

UNITS = {"user": "users", "session": "sessions", "request": "requests"}


def list_plan(record: ExperimentRecord) -> Iterator[tuple[str, str]]:
    """Yield what was planned: name and text."""
    config, plan = record.config, record.plan
    units = UNITS[config.unit]
    yield "hypothesis", config.hypothesis
    shape = {"rate": f"share of {units}", "mean": "mean per unit", "ratio": "per request"}
    primary = config.primary
    yield "primary", f"{primary.name}: {primary.source}, {shape[primary.shape]}, {primary.better}"
    yield "effect", f"{config.minimum_detectable_effect:+.1%} of {plan.baseline:.4g}"
    yield "alpha, power", f"{config.alpha:g} two-sided, {config.power:g}, {config.looks} looks"
    yield f"{units} needed", f"{plan.units:,} ({plan.units_a:,} and {plan.units_b:,})"
    origin = f"{plan.history_units:,} complete {units}" if plan.history_units else "as assumed"
    yield f"new {units} a day", f"{plan.units_a_day:,.1f} ({origin})"
    yield "duration", f"{write_length(plan.seconds)}, {plan.periods} whole periods and the window"
    yield "finds in that time", f"{plan.found_in_time:.1%} and more"


def list_state(record: ExperimentRecord, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield where it stands: name and text."""
    yield "state", f"run {record.number}, {record.phase}"
    if record.started is None or record.due is None:
        return
    yield (
        "arms",
        (f"v{record.control} control, v{record.treatment} treatment at {record.config.split:.0%}"),
    )
    yield "started, UTC", f"{record.started:%Y-%m-%d %H:%M:%S}"
    if record.ended is None:
        yield "ends, UTC", f"{record.due:%Y-%m-%d %H:%M:%S}"
        done = (now - record.started).total_seconds() / record.plan.seconds
        yield "done", f"{min(1.0, max(0.0, done)):.0%}"
    else:
        yield "ended, UTC", f"{record.ended:%Y-%m-%d %H:%M:%S}"
        yield "ended because", record.end_reason or "its duration is over"


def list_counts(record: ExperimentRecord) -> Iterator[tuple[str, str]]:
    """Yield the counts of an analysis, those that spoil it included."""
    found = record.analysis
    if found is None:
        return
    units = UNITS[record.config.unit]
    total = found.units_a + found.units_b
    yield (
        f"complete {units}",
        (f"{total:,} of {found.planned:,} planned ({found.units_a:,} and {found.units_b:,})"),
    )
    yield "window not over", f"{found.waiting:,} {units}"
    yield "seen in both arms", f"{found.mixed:,} {units}, left out"
    yield "in neither arm", f"{found.unassigned:,} requests"
    if found.without_unit:
        yield "without a unit", f"{found.without_unit:,} requests, each a unit of its own"


def describe_ratio(check: RatioCheck) -> tuple[str, str, str]:
    """Return segment, units and finding of a sample-ratio check."""
    evidence = f"e {min(check.log_evidence / 2.302585, 300):+.1f} (log10)"
    finding = "not as planned" if check.is_broken else "as planned"
    return (
        check.segment,
        f"{check.units_a:,} and {check.units_b:,} ({check.share:.1%} of {check.expected:.1%})",
        f"{finding}, {evidence}",
    )


def describe_metric(result: MetricResult) -> tuple[str, str, str, str]:
    """Return name and role, figures, difference, and finding of a metric."""
    name = f"{result.name} ({result.role})"
    if result.figure_a is None or result.figure_b is None:
        return name, "", "", f"not judged: {result.note}"
    figures = f"{result.figure_a:.4g} and {result.figure_b:.4g}"
    if result.difference is None or result.low is None or result.high is None:
        return name, figures, "", f"not judged: {result.note}"
    lift = f", lift {result.lift:+.1%}" if result.lift is not None else ""
    difference = f"{result.difference:+.4g} [{result.low:+.4g}, {result.high:+.4g}]{lift}"
    p_value = result.adjusted if result.adjusted is not None else result.p_value
    test = f"p {write_p(p_value)}, " if p_value is not None else ""
    finding = f"{result.finding}: {test}{result.method}"
    if result.margin is not None:
        finding += f", margin {result.margin:g}"
    if result.plain is not None:
        plain = result.plain
        finding += (
            f"; without CUPED {plain.difference:+.4g} [{plain.low:+.4g}, {plain.high:+.4g}], "
            f"variance x {plain.variance_ratio:.2f}"
        )
    return name, figures, difference, finding


def write_length(seconds: float) -> str:
    """Return a length of time in days, hours or seconds."""
    for unit, name in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.1f} {name}"
    return f"{seconds:,.1f} s"
