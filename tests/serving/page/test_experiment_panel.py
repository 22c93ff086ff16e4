"""The panel of an experiment on the page of its service."""

from dataclasses import replace

from serving.page.experiments import render_experiment
from sluice.experiments.record import ExperimentPhase
from support.experiments.records import AT, make_decided, make_running


def test_a_running_experiment_shows_arms_and_what_comes_next() -> None:
    html = str(render_experiment(make_running(), AT))
    assert "v1233 control, v1234 treatment at 50%" in html
    assert "sluice experiment status tone" in html


def test_a_decided_one_shows_by_whom_and_every_metric() -> None:
    html = str(render_experiment(make_decided(), AT))
    assert "Ada &lt;b&gt;Lovelace&lt;/b&gt;" in html
    assert "pleased (primary)" in html
    assert "Next:" not in html


def test_an_analysis_that_was_stopped_is_an_alert() -> None:
    record = replace(make_decided(), phase=ExperimentPhase.ANALYSED, decision=None)
    assert record.analysis is not None
    stopped = replace(record, analysis=replace(record.analysis, stopped="units were lost"))
    assert "Nothing was analysed: units were lost" in str(render_experiment(stopped, AT))


def test_without_an_experiment_there_is_no_panel() -> None:
    assert render_experiment(None) is None
