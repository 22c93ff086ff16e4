"""A report of drift as one HTML file that needs nothing else: no script, no font, no address."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sluice.drift.findings import JS_LIMITS
from sluice.drift.live.report import ColumnReport, DriftReport, summarise
from sluice.report.drift.charts import draw_bars, draw_spark, draw_trend
from sluice.report.drift.rows import (
    advise,
    describe_column,
    describe_joint,
    describe_kind,
    describe_performance,
    describe_slice,
    list_facts,
    write_headline,
)
from sluice.report.html import load_page, read_style

FOLDER = Path(__file__).parent
MOST_CARDS = 24
"""Columns with a finding that have a picture; the table has all."""
MANY = 12
"""Columns above which the table of all columns is folded."""
TREND_KINDS = ("data", "prediction", "label")


@dataclass(frozen=True)
class Card:
    """A column with a finding: its row, and its pictures."""

    kind: str
    row: dict[str, str]
    bars: Markup
    spark: Markup


def write_page(report: DriftReport) -> str:
    """Write a report as HTML; every word of the data is escaped."""
    found = [
        (kind, one) for kind, part in report.columns.items() if kind != "upstream" for one in part
    ]
    moved = [(kind, one) for kind, one in found if one.found.alarm]
    slices = [(bool(one.alarmed), describe_slice(one)) for one in report.slices]
    return str(
        load_page(FOLDER).render(
            report=report,
            style=read_style(FOLDER),
            headline=write_headline(report),
            summary=summarise(report),
            facts=list_facts(report),
            steps=[step.split("`") for step in advise(report)],
            kinds=[(describe_kind(one, report), one) for one in report.kinds],
            cards=[_draw_card(kind, one) for kind, one in moved[:MOST_CARDS]],
            spark_limit=JS_LIMITS[0],
            more_cards=max(len(moved) - MOST_CARDS, 0),
            slices=_part_slices(slices),
            joint=describe_joint(report),
            unlike=report.unlike if report.joint and report.joint.outcome == "alarm" else (),
            performance=() if report.is_of_prompt else describe_performance(report.performance),
            trend=_draw_trend(report),
            trend_kinds=[kind for kind in TREND_KINDS if _has_trend(report, kind)],
            columns=[(kind, describe_column(one.found)) for kind, one in found],
            many=len(found) > MANY,
            left_out=report.left_out,
            unknown=report.unknown,
            notes=report.notes,
        )
    )


def _part_slices(slices: list[tuple[bool, dict[str, str]]]) -> dict[str, Any] | None:
    if not slices:
        return None
    moved = [row for has_moved, row in slices if has_moved]
    return {"moved": moved, "others": [row for has_moved, row in slices if not has_moved]}


def _draw_card(kind: str, one: ColumnReport) -> Card:
    column = one.found.column
    return Card(
        kind,
        describe_column(one.found),
        draw_bars(f"{column}: reference and now", one.bars),
        draw_spark(f"{column}: the last {len(one.trend)} windows", one.trend, JS_LIMITS[0]),
    )


def _has_trend(report: DriftReport, kind: str) -> bool:
    return any(kind in point.largest for point in report.trend)


def _draw_trend(report: DriftReport) -> Markup:
    series = [
        (kind, [point.largest.get(kind) for point in report.trend])
        for kind in TREND_KINDS
        if _has_trend(report, kind)
    ]
    ends = [f"{point.end:%Y-%m-%d %H:%M}" for point in report.trend]
    return draw_trend("largest distance of each window", ends, series)
