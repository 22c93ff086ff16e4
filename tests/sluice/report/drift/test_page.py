"""The page of a report: one file, no script, everything of the data escaped and visible."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from sluice.config.monitoring.drift import DriftConfig
from sluice.drift.joint import Carrier, JointDrift
from sluice.drift.live.building import build_report
from sluice.drift.live.report import DriftReport, PerformanceView, TrendPoint, summarise
from sluice.drift.live.schedule import Window
from sluice.drift.live.states import advance_kinds
from sluice.drift.live.trend import add_trend
from sluice.drift.rule import judge_drift, judge_slices
from sluice.report.drift.artifact import write_artifact
from sluice.report.drift.figures import name_drift_figures, name_part
from sluice.report.drift.page import MOST_CARDS, write_page
from sluice.report.drift.rows import describe_column
from support.drift import draw_normal, make_profile, make_table

END = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOSTILE = "</title><script>alert(1)</script>"
LEVEL = '"><img src=x onerror=alert(1)>'
REVERSED = "\u202eevil`**|{{ 7 * 7 }}"


def make_report(features: int = 2, rows: int = 800) -> DriftReport:
    before: dict[str, Any] = {HOSTILE: draw_normal(1, 800)}
    now: dict[str, Any] = {HOSTILE: draw_normal(2, rows, 1.0)}
    before[REVERSED], now[REVERSED] = [LEVEL, "b"] * 400, ([LEVEL] * rows)[:rows]
    for at in range(features):
        before[f"f{at}"], now[f"f{at}"] = draw_normal(at, 800), draw_normal(-at % 97, rows, 1.0)
    before["region"], now["region"] = ["<b>", "east"] * 400, (["<b>", "east"] * 400)[:rows]
    profile = make_profile(before, slices=["region"], importance={HOSTILE: 1.0, "f0": 0.5})
    counts = profile.count_rows([make_table({**now, "<new>": [1] * rows})])
    window = Window(END - timedelta(hours=1), END)
    joint = JointDrift(800, rows, "alarm", 0.8, (0.7, 0.9), (Carrier(HOSTILE, 0.2),))
    view = PerformanceView("auc", 0.8, None, 0, None, None, 0.79, 0.81, "auc", 800, False, "blind")
    trend = tuple(
        TrendPoint(END - timedelta(hours=at), {"data": 0.1 * at}, {HOSTILE: 0.1})
        for at in (3, 2, 1)
    )
    about = DriftReport("shop", 3, 7, "training", window, "", 0, 0, (), {}, trend=trend)
    judged = judge_drift(profile, counts)
    report = build_report(about, profile, (profile.reference, counts), judged, joint)
    kinds = advance_kinds(report.kinds, {}, 3, window, DriftConfig(alarms=1))
    slices = judge_slices(profile, counts)
    unlike = (("<i>r1</i>", 0.9),)
    return add_trend(
        replace(report, kinds=kinds, slices=slices, unlike=unlike, performance=view, notes=("<u>",))
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs


REPORT = make_report()
PAGE = write_page(REPORT)


def test_nothing_of_the_data_becomes_markup() -> None:
    tags = Tags()
    tags.feed(PAGE)
    assert tags.names & {"script", "img", "iframe", "link", "object", "b", "i", "u"} <= {"i"}
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert "&lt;script&gt;alert(1)" in PAGE


def test_the_page_needs_nothing_else() -> None:
    tags = Tags()
    tags.feed(PAGE)
    assert not [name for name, _ in tags.attributes if name in ("src", "href")]
    assert set(re.findall(r"https?://[^\"' <]+", PAGE)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in PAGE
    assert "url(" not in PAGE


def test_characters_that_turn_a_line_around_are_spelt_out() -> None:
    assert "\u202e" not in PAGE
    assert "\\u202eevil" in PAGE
    assert "\u202e" not in write_artifact(REPORT)


def test_every_picture_is_well_formed() -> None:
    pictures = re.findall(r"<svg.*?</svg>", PAGE, re.DOTALL)
    assert len(pictures) >= 3
    for one in pictures:
        ElementTree.fromstring(one)  # noqa: S314 - our own markup


def test_no_figure_is_nan_or_infinite() -> None:
    words = re.sub(r"<style>.*?</style>", "", PAGE, flags=re.DOTALL)
    assert not re.search(r"\b(nan|inf|None|undefined)\b", words)
    json.dumps(REPORT.to_dict(), allow_nan=False)


def test_the_page_says_what_moved_where_and_what_to_do() -> None:
    for words in ("Drift found", "What to do", "By slice", "region=", "The last windows", "blind"):
        assert words in PAGE


def test_many_findings_have_pictures_up_to_a_limit_and_all_a_row() -> None:
    page = write_page(make_report(features=40))
    assert page.count('<article class="card">') == MOST_CARDS
    assert f"and {42 - MOST_CARDS} more columns with a finding" in page
    assert page.count('<th class="name">f39</th>') == 1


@pytest.mark.parametrize("rows", [0, 10])
def test_a_window_without_enough_rows_is_said_and_not_red(rows: int) -> None:
    report = replace(make_report(rows=rows), joint=None, unlike=())
    kinds = tuple(replace(one, is_open=False, outcome="not judged") for one in report.kinds)
    page = write_page(replace(report, kinds=kinds))
    assert '<p class="state not judged">Not judged: not enough data</p>' in page


def test_columns_that_were_not_judged_have_no_severity() -> None:
    """Of few rows the usual limits of the index are passed by chance."""
    few = make_report(rows=10).columns["data"]
    assert {describe_column(one.found)["severity"] for one in few} == {"-"}


def test_a_distance_that_was_not_measured_is_not_shown() -> None:
    profile = make_profile({"x": draw_normal(1, 800), "region": ["east", "west"] * 400})
    now = make_table({"region": ["east", "west"] * 400})
    counts = profile.count_part(now)
    judged = judge_drift(profile, counts)
    about = DriftReport("shop", 3, 7, "training", None, "x.parquet", 0, 0, (), {})
    report = build_report(about, profile, (profile.reference, counts), judged, None)
    assert "x (missing column, significant)" in summarise(report)


def test_the_artifact_has_no_markup_of_the_data() -> None:
    page = write_artifact(REPORT, "http://report")
    assert "<script" not in page
    assert "<img" not in page
    assert "[The whole report, with distributions before and after](http://report)" in page
    assert page.startswith("# Drift found: shop")


def test_figures_have_names_that_the_registry_takes_and_that_differ() -> None:
    figures = name_drift_figures(REPORT)
    assert all(re.fullmatch(r"[A-Za-z0-9_./-]+", name) for name in figures)
    assert figures["drift/data/open"] == 1.0
    assert figures["drift/joint/auc"] == 0.8
    assert figures["drift/columns/f0"] > 0.2
    assert name_part("年齢") != name_part("住所")
    assert name_part("age") == "age"


def test_a_drop_of_performance_says_what_to_do_with_commands_to_copy() -> None:
    report = make_report()
    assert report.performance is not None
    dropped = replace(report.performance, measured=0.7, measured_end=END, dropped=True)
    command = "sluice rollback shop --by NAME --reason WORDS"
    assert f"<code>{command}</code>" in write_page(replace(report, performance=dropped))
    assert f"`{command}`" in write_artifact(replace(report, performance=dropped))
    assert command not in write_page(report)


def test_a_report_is_printed_in_light_colours_and_whole_tables() -> None:
    page = write_page(make_report())
    assert "@media screen and (prefers-color-scheme: dark)" in page
    assert re.search(r"@media print \{.*\.wide \{ overflow: visible; \}", page, re.DOTALL)
