"""A report of drift as the artifact of its run: what moved, in tables that fit the page."""

from sluice.drift.live.report import DriftReport, summarise
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
from sluice.report.markdown import Column, escape, write_fitted
from sluice.report.visible import clean

SHOWN_COLUMNS, SHOWN_SLICES = 20, 12
"""Rows of an artifact; the page has all of them."""


def write_artifact(report: DriftReport, link: str = "") -> str:
    """Write a report as Markdown; `link` is the address of the whole page, empty without one."""
    parts = [
        f"# {write_headline(report)}: {report.service}",
        escape(_plain(summarise(report))),
        "\n".join(f"- {step}" for step in advise(report)),
        f"[The whole report, with distributions before and after]({link})" if link else "",
        _write_facts(report),
        _write_kinds(report),
        _write_columns(report),
        _write_slices(report),
        *_write_rest(report),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _plain(text: str) -> str:
    """Return words of the data without marks that Markdown or HTML would read."""
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace("`", "'")


def _plain_row(row: dict[str, str]) -> dict[str, str]:
    return {name: _plain(words) for name, words in row.items()}


def _write_facts(report: DriftReport) -> str:
    heads = [Column("what", 10), Column("", 60)]
    return write_fitted(heads, [(name, _plain(words)) for name, words in list_facts(report)])


def _write_kinds(report: DriftReport) -> str:
    rows = [_plain_row(describe_kind(one, report)) for one in report.kinds]
    heads = [Column("kind", 10), Column("this window", 11), Column("alarm", 22), Column("what", 36)]
    return write_fitted(heads, [[row[head.head] for head in heads] for row in rows])


def _write_columns(report: DriftReport) -> str:
    found = [
        _plain_row(describe_column(one.found))
        for kind, part in report.columns.items()
        if kind != "upstream"
        for one in part
        if one.found.alarm
    ]
    if not found:
        return ""
    names = ("column", "finding", "severity", "JS", "PSI", "importance")
    widths = (28, 18, 11, 6, 6, 10)
    heads = [Column(name, width) for name, width in zip(names, widths, strict=True)]
    table = write_fitted(heads, [[row[name] for name in names] for row in found[:SHOWN_COLUMNS]])
    rest = len(found) - SHOWN_COLUMNS
    more = f"\n\nand {rest:,} more, on the page" if rest > 0 else ""
    return f"## What moved, by drift x importance\n\n{table}{more}"


def _write_slices(report: DriftReport) -> str:
    found = [_plain_row(describe_slice(one)) for one in report.slices if one.alarmed][:SHOWN_SLICES]
    if not found:
        return ""
    heads = [Column("slice", 30), Column("rows", 8), Column("what moved (JS)", 42)]
    return "## By slice\n\n" + write_fitted(
        heads, [[row[one.head] for one in heads] for row in found]
    )


def _write_rest(report: DriftReport) -> list[str]:
    joint = _plain(describe_joint(report))
    performance = write_fitted(
        [Column("performance", 26), Column("", 58)],
        [(name, _plain(words)) for name, words in describe_performance(report.performance)],
    )
    notes = "\n".join(f"- {escape(_plain(one))}" for one in report.notes)
    return [f"## All features together\n\n{escape(joint)}" if joint else "", performance, notes]
