"""The signals of drift: what a judged window of traffic hands to the rules."""

from sluice.drift.findings import Kind
from sluice.drift.live.report import DriftReport
from sluice.monitoring.signals import Signal

SIGNALS_OF: dict[Kind, str] = {"data": "feature-psi", "prediction": "output-psi"}
"""The signal with the population stability index of each column, by the kind of drift."""


def list_drift_signals(report: DriftReport) -> list[Signal]:
    """Return the index of each feature and output of a window; none for a file.

    A signal is confirmed where the column's own tests are an alarm.
    """
    if report.window is None:
        return []
    return [
        Signal(
            report.service,
            name,
            report.window.start,
            report.window.end,
            one.found.scores.psi,
            one.found.rows,
            subject=one.found.column,
            confirmed=one.found.alarm,
            version=report.version,
        )
        for kind, name in SIGNALS_OF.items()
        for one in report.columns.get(kind, ())
        if one.found.scores is not None
    ]
