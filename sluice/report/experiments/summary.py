"""An experiment as the Markdown page that Prefect shows."""

from datetime import datetime

from sluice.experiments.record import ExperimentRecord
from sluice.report.experiments.rows import (
    describe_metric,
    describe_ratio,
    list_counts,
    list_plan,
    list_state,
)
from sluice.report.markdown import Column, escape, write_fitted

FACTS = (Column("fact", 20), Column("", 66))
RATIOS = (Column("segment", 22), Column("control and treatment", 28), Column("finding", 30))
METRICS = (
    Column("metric", 18),
    Column("control, treatment", 18),
    Column("difference", 22),
    Column("finding", 24),
)
SHOWN_RATIOS = 12


def write_summary(record: ExperimentRecord, now: datetime, picture: str = "") -> str:
    """Write plan, state, analysis and decision; `picture` is a PNG of the power as base64."""
    parts = [f"# Experiment {record.name} of {escape(record.service)}"]
    if record.decision is not None:
        decision = record.decision
        parts.append(
            f"**{decision.choice}**, by {escape(decision.by)} on {decision.at:%Y-%m-%d %H:%M} UTC: "
            f"{escape(decision.reason)}"
        )
    parts += ["## Plan", write_fitted(FACTS, list(list_plan(record)))]
    if picture:
        parts.append(f"![what the traffic can find](data:image/png;base64,{picture})")
    parts += ["## State", write_fitted(FACTS, list(list_state(record, now)))]
    return "\n\n".join([*parts, *_write_analysis(record)]) + "\n"


def _write_analysis(record: ExperimentRecord) -> list[str]:
    found = record.analysis
    if found is None:
        return []
    stopped = f"**Nothing was analysed**: {escape(found.stopped)}" if found.stopped else ""
    advice = f"**{found.recommended}** is recommended: {escape(found.reason)}"
    broken = [item for item in found.ratios if item.is_broken]
    ratios = [*broken, *(item for item in found.ratios if not item.is_broken)][:SHOWN_RATIOS]
    more = len(found.ratios) - len(ratios)
    parts = ["## Analysis", stopped or advice, write_fitted(FACTS, list(list_counts(record)))]
    parts += ["### Sample ratio", write_fitted(RATIOS, [describe_ratio(item) for item in ratios])]
    if more:
        parts.append(f"{more} more segments are as planned.")
    if found.metrics:
        rows = [describe_metric(item) for item in found.metrics]
        parts += ["### Metrics", write_fitted(METRICS, rows)]
    if found.segments:
        rows = [(item.segment, *describe_metric(item.result)[1:]) for item in found.segments]
        parts += ["### Segments", "Exploration: none of it decides.", write_fitted(METRICS, rows)]
    return parts
