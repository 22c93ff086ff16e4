"""A report of drift as named numbers, which the registry stores and plots as metrics."""

import re

from sluice.drift.live.report import DriftReport

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]+")
MOST_COLUMNS = 100
"""Columns whose scores are kept as metrics, the most important ones."""


def name_drift_figures(report: DriftReport) -> dict[str, float]:
    """Return rows, alarms and the largest distance of each kind, and each column's distance.

    Names have the form `drift/KIND/FIGURE` and `drift/columns/COLUMN`. Distances are
    Jensen-Shannon's, 0 to .833; `drift/joint/auc` is an area under the ROC curve, 0 to 1. What was
    not judged is left out.
    """
    figures = {"drift/rows": float(report.rows)}
    for kind in report.kinds:
        figures[f"drift/{kind.kind}/open"] = float(kind.is_open)
        if kind.outcome != "not judged":
            figures[f"drift/{kind.kind}/alarm"] = float(kind.outcome == "alarm")
    columns = [one.found for part in report.columns.values() for one in part if one.found.scores]
    for one in columns[:MOST_COLUMNS]:
        name = f"drift/{one.kind}/largest"
        figures[name] = max(figures.get(name, 0.0), one.drift)
        figures[f"drift/columns/{name_part(one.column)}"] = one.drift
    if report.joint is not None and report.joint.auc is not None:
        figures["drift/joint/auc"] = report.joint.auc
    return figures


def name_part(text: str) -> str:
    """Return a part of a metric's name; a name that has to change keeps a mark of its own."""
    plain = _FORBIDDEN.sub("_", text).strip("_")
    if plain == text and len(text) <= 100:
        return text
    import xxhash

    mark = xxhash.xxh3_64_hexdigest(text.encode("utf-8", "surrogatepass"))[:8]
    return f"{plain[:80] or 'column'}-{mark}"
