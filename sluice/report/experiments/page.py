"""An experiment as one HTML file that needs nothing else: no script, no font, no address."""

from datetime import datetime
from pathlib import Path

from markupsafe import Markup

from sluice.experiments.record import ExperimentRecord
from sluice.report.experiments.rows import (
    describe_metric,
    describe_ratio,
    list_counts,
    list_plan,
    list_state,
)
from sluice.report.html import load_page, read_style

FOLDER = Path(__file__).parent


def write_page(record: ExperimentRecord, now: datetime, picture: str = "") -> str:
    """Write plan, state, analysis and decision as HTML; every text is escaped."""
    found = record.analysis
    return str(
        load_page(FOLDER).render(
            record=record,
            style=read_style(FOLDER),
            picture=Markup(picture),  # noqa: S704 - base64 of ours
            plan=list(list_plan(record)),
            state=list(list_state(record, now)),
            counts=list(list_counts(record)),
            analysis=found,
            ratios=[describe_ratio(item) for item in found.ratios] if found else [],
            metrics=[describe_metric(item) for item in found.metrics] if found else [],
            segments=[(item.segment, *describe_metric(item.result)[1:]) for item in found.segments]
            if found
            else [],
        )
    )
