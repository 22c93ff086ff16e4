"""The last windows of a service, as a small document beside the version's report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sluice.drift.live.report import DriftReport, TrendPoint

MOST_WINDOWS = 168
"""Windows that are kept: a week of hours."""
MOST_COLUMNS = 100
"""Columns that are kept of a window, the most important ones."""
SHOWN = 48
"""Windows that a report shows."""


def describe_point(report: DriftReport) -> TrendPoint:
    """Return a judged window as a point of the trend.

    Raises:
        ValueError: the report has no window.
    """
    if report.window is None:
        raise ValueError("a report without a window is no point of a trend")
    largest: dict[str, float] = {
        kind: max((one.found.drift for one in columns if one.found.scores), default=0.0)
        for kind, columns in report.columns.items()
        if kind != "upstream" and any(one.found.scores for one in columns)
    }
    if report.joint is not None and report.joint.auc is not None:
        largest["joint"] = report.joint.auc
    columns = [one.found for part in report.columns.values() for one in part if one.found.scores]
    return TrendPoint(
        report.window.end,
        {name: round(value, 4) for name, value in largest.items()},
        {one.column: round(one.drift, 4) for one in columns[:MOST_COLUMNS]},
    )


def write_trend(
    before: Sequence[Mapping[str, Any]], reference: str, point: TrendPoint
) -> list[dict[str, Any]]:
    """Return the entries of the document with a new window, oldest first; a window is in it once.

    Each reference keeps its own last windows.
    """
    entry = {
        "reference": reference,
        "end": point.end.isoformat(),
        "largest": dict(point.largest),
        "columns": dict(point.columns),
    }
    same = [
        dict(one)
        for one in before
        if one.get("reference") == reference and one.get("end") != entry["end"]
    ]
    others = [dict(one) for one in before if one.get("reference") != reference]
    ordered = sorted([*same, entry], key=lambda one: str(one["end"]))
    return [*others[-MOST_WINDOWS:], *ordered[-MOST_WINDOWS:]]


def read_points(entries: Any, reference: str) -> tuple[TrendPoint, ...]:
    """Return the newest windows of a reference, oldest first; what is damaged is left out."""
    points = []
    for one in entries if isinstance(entries, list) else ():
        try:
            if one["reference"] == reference:
                points.append(
                    TrendPoint(
                        datetime.fromisoformat(one["end"]),
                        {str(name): float(value) for name, value in one["largest"].items()},
                        {str(name): float(value) for name, value in one["columns"].items()},
                    )
                )
        except (TypeError, ValueError, LookupError, AttributeError):
            continue
    return tuple(points[-SHOWN:])


def add_trend(report: DriftReport) -> DriftReport:
    """Return a report whose columns have their last windows, and this one as the last."""
    if report.window is None:
        return report
    earlier = [one for one in report.trend if one.end < report.window.end]
    trend = (*earlier, describe_point(report))[-SHOWN:]
    columns = {
        kind: tuple(
            replace(
                one,
                trend=tuple(
                    point.columns[one.found.column]
                    for point in trend
                    if one.found.column in point.columns
                ),
            )
            for one in part
        )
        for kind, part in report.columns.items()
    }
    return replace(report, trend=trend, columns=columns)
