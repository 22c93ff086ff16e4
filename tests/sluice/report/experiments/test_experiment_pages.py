"""The report of an experiment: decision, figures with intervals, and foreign text escaped."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sluice.experiments.record import ExperimentRecord
from sluice.plots.experiment import draw_power
from sluice.plots.style import render_png
from sluice.report.experiments.page import write_page
from sluice.report.experiments.rows import describe_metric, list_state
from sluice.report.experiments.summary import write_summary
from support.experiments.records import AT, make_decided, make_running


def test_the_html_report_has_all_of_it_and_escapes_what_people_wrote() -> None:
    page = write_page(make_decided(), AT, "AAAA")
    assert "<b>promote</b>, by Ada &lt;b&gt;Lovelace&lt;/b&gt;" in page
    for part in ("Plan", "Sample ratio", "Metrics", "Segments", "pleased (primary)"):
        assert part in page
    assert 'src="data:image/png;base64,AAAA"' in page
    assert "<script" not in page


def test_the_summary_names_decision_hypothesis_and_each_metric() -> None:
    page = write_summary(make_decided(), AT)
    assert "**promote**, by Ada" in page
    assert "all units" in page
    assert "better: p" in page
    assert "margin" in page


def test_an_analysis_that_was_stopped_shows_why_and_no_metric() -> None:
    record = make_decided()
    assert record.analysis is not None
    stopped = replace(record.analysis, metrics=(), segments=(), stopped="lost <units>")
    shown: ExperimentRecord = replace(record, analysis=stopped, decision=None)
    assert "Nothing was analysed" in write_summary(shown, AT)
    page = write_page(shown, AT)
    assert "lost &lt;units&gt;" in page
    assert "<h2>Metrics</h2>" not in page


def test_a_running_experiment_shows_how_much_is_over() -> None:
    record = make_running()
    assert record.started is not None
    half = record.started + timedelta(seconds=record.plan.seconds / 2)
    facts = dict(list_state(record, half))
    assert facts["done"] == "50%"
    assert dict(list_state(record, datetime(2030, 1, 1, tzinfo=UTC)))["done"] == "100%"


def test_what_was_not_judged_says_why() -> None:
    found = make_decided().analysis
    assert found is not None
    empty = replace(found.metrics[0], figure_a=None, note="no unit")
    assert describe_metric(empty)[3] == "not judged: no unit"


def test_the_plot_of_the_power_is_drawn() -> None:
    plan = make_decided().plan
    points = [(point.seconds, point.effect) for point in plan.curve]
    assert render_png(draw_power("tone", points, 0.25, plan.seconds)).startswith(b"\x89PNG")
