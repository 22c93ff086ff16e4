"""Windows of labelled answers: what alarms, what does not, and when a drop is over."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sluice.config.monitoring.performance import PerformanceConfig
from sluice.config.service import ServiceConfig
from sluice.drift.performance.reference import PerformanceReference
from sluice.drift.performance.windows import (
    PerformanceState,
    describe_event,
    judge_window,
    read_verdict,
)
from sluice.stats.holdout import Predictions
from support.people import finite, make_rows

LIMITS = PerformanceConfig()


def test_windows_without_a_change_do_not_alarm(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    found = [judge_window(config, reference, make_rows(500, seed), 3) for seed in range(30)]
    assert [verdict.alarm for verdict in found] == [False] * 30


def test_change_of_concept_in_a_group_alarms(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    verdict = judge_window(config, reference, make_rows(500, 7, flipped=0.5), 3)
    assert verdict.alarm
    assert verdict.loss.risen
    assert verdict.primary.dropped
    dropped = {name: one.dropped for name, one in verdict.slices}
    assert dropped == {"sex=male": True, "sex=female": False}


def test_loss_is_tested_by_the_two_sample_z(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    rows = make_rows(500, 8)
    loss = judge_window(config, reference, rows, 3).loss
    scores = rows.predictions.scores
    assert scores is not None
    losses = -np.log(np.where(rows.y == 1, scores, 1 - scores))
    assert reference.loss.value is not None
    assert reference.loss.error is not None
    error = np.hypot(losses.std() / np.sqrt(500), reference.loss.error)
    assert loss.z == pytest.approx((losses.mean() - reference.loss.value) / error, rel=1e-6)


def test_drop_of_a_noisy_window_needs_its_bound(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    """Of few rows a drop of more than 5 % alone proves nothing."""
    drops = [judge_window(config, reference, make_rows(60, n), 3).primary for n in range(40)]
    large = [one for one in drops if one.drop is not None and one.drop > LIMITS.drop]
    assert large
    assert [one.dropped for one in large] == [False] * len(large)


def test_window_of_one_class_is_judged_by_its_loss_alone(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    rows = replace(make_rows(500, 9), y=np.ones(500, dtype=int))
    verdict = judge_window(config, reference, rows, 3)
    assert verdict.primary.dropped is None
    assert verdict.primary.note == "a class is missing in the rows"
    assert verdict.alarm is not None
    assert finite(verdict.to_document())


def test_nothing_to_judge_is_no_alarm(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    empty = replace(reference, loss=replace(reference.loss, value=None, error=None), figures=())
    verdict = judge_window(config, empty, make_rows(500, 9), 3)
    assert verdict.alarm is None
    assert "no figure of the release" in verdict.loss.note


def test_slice_that_callers_do_not_send_is_named(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    rows = make_rows(500, 9)
    bare = replace(rows, frame=rows.frame[["age"]])
    verdict = judge_window(config, reference, bare, 3)
    assert verdict.slices == ()
    assert verdict.notes == ("slices of 'sex' are not measured: callers do not send the column",)


def test_certain_and_wrong_answers_have_a_finite_loss(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    rows = make_rows(500, 9)
    wrong = Predictions(1 - rows.y, (1 - rows.y).astype(float), (0, 1))
    verdict = judge_window(config, reference, replace(rows, predictions=wrong), 3)
    assert verdict.alarm
    assert finite(verdict.to_document())


def test_verdict_is_json_and_reads_back_the_same(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    verdict = judge_window(config, reference, make_rows(500, 3), 3)
    text = json.dumps(verdict.to_document(), allow_nan=False)
    assert read_verdict(json.loads(text)) == verdict


def test_event_has_the_figure_that_alarmed(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    verdict = judge_window(config, reference, make_rows(500, 7, flipped=0.5), 3)
    payload = describe_event(verdict, 4)
    assert payload["metric"] == "auc"
    assert payload["bound"] > 0
    share = 100 * (payload["baseline"] - payload["value"]) / payload["baseline"]
    assert payload["reason"].startswith("auc .")
    assert f", {share:.3g} % below the release's ." in payload["reason"]
    assert payload["reason"].endswith(" (500 answers)")
    assert (payload["window"], payload["version"], payload["estimated"]) == (4, 3, False)
    loss_only = replace(verdict, primary=replace(verdict.primary, dropped=False))
    assert describe_event(loss_only, 4)["metric"] == "log_loss"


@pytest.mark.parametrize(
    ("alarms", "events"),
    [
        ([False, False], ["", ""]),
        ([True, True], ["performance.dropped", ""]),
        ([True, False, False], ["performance.dropped", "", "performance.recovered"]),
        ([True, False, True, False], ["performance.dropped", "", "", ""]),
        ([True, False, None, False], ["performance.dropped", "", "", "performance.recovered"]),
        ([None, None], ["", ""]),
    ],
)
def test_drop_is_told_once_and_is_over_after_clean_windows(
    alarms: list[bool | None], events: list[str]
) -> None:
    state, found = PerformanceState(), []
    for alarm in alarms:
        state, event = state.follow(LIMITS, alarm)
        found.append(event)
    assert found == events
    assert state.windows == len(alarms)
