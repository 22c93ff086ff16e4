"""Alarms of each kind after a window, and what is recorded and told of a change."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.config.monitoring.drift import DriftConfig
from sluice.control.drift import AlarmChange, DriftState, WindowOutcome
from sluice.drift.joint import Carrier, JointDrift
from sluice.drift.live.building import build_report
from sluice.drift.live.report import DriftReport, KindReport, summarise
from sluice.drift.live.schedule import Window
from sluice.drift.live.states import (
    JOINT_OFF,
    advance_kinds,
    build_states,
    close_stale,
    describe_change,
    describe_stale,
    list_outcomes,
)
from sluice.drift.rule import judge_drift
from support.drift import draw_normal, make_profile, make_table

END = datetime(2026, 11, 23, 12, tzinfo=UTC)
WINDOW = Window(END - timedelta(hours=1), END)
PROFILE = make_profile({"age": draw_normal(1, 2_000), "size": draw_normal(2, 2_000)})
MOVED = make_table({"age": draw_normal(3, 1_000, 1.0), "size": draw_normal(4, 1_000)})
STILL = make_table({"age": draw_normal(5, 1_000), "size": draw_normal(6, 1_000)})
JOINT = JointDrift(1_000, 1_000, "alarm", 0.7, (0.65, 0.75), (Carrier("age", 0.2),))


def report_of(table: Any, joint: JointDrift | None = None, hours: float = 0.0) -> DriftReport:
    shift = timedelta(hours=hours)
    window = Window(WINDOW.start + shift, WINDOW.end + shift)
    about = DriftReport("shop", 3, 7, "training", window, "", 0, 0, (), {})
    counts = PROFILE.count_rows([table])
    judged = judge_drift(PROFILE, counts)
    return build_report(about, PROFILE, (PROFILE.reference, counts), judged, joint)


def follow(
    reports: list[DriftReport],
    config: DriftConfig | None = None,
    serves: Callable[[int], bool] = lambda _: True,
) -> list[DriftReport]:
    """Return reports with their alarms, each after the one before."""
    found: list[DriftReport] = []
    states: dict[str, DriftState] = {}
    for one in reports:
        assert one.window is not None
        rule = config or DriftConfig()
        kinds = advance_kinds(one.kinds, states, one.version, one.window, rule, serves)
        report = replace(one, kinds=kinds)
        states = {state.kind: state for state in build_states(report, states, "http://r", "run")}
        found.append(report)
    return found


def data_of(report: DriftReport) -> KindReport:
    found = report.find_kind("data")
    assert found is not None
    return found


def test_a_window_alone_says_what_each_kind_found() -> None:
    kinds = {one.kind: one for one in report_of(MOVED, JOINT).kinds}
    assert (kinds["data"].outcome, kinds["data"].features) == ("alarm", ("age",))
    assert (kinds["joint"].outcome, kinds["joint"].features) == ("alarm", ("age",))
    assert kinds["label"].outcome == "not judged"
    assert kinds["label"].reason == "the reference profile watches no column of the kind label"


def test_joint_drift_that_is_switched_off_says_so() -> None:
    judged = judge_drift(PROFILE, PROFILE.reference)
    found = {one.kind: one for one in list_outcomes(judged, None)}
    assert (found["joint"].outcome, found["joint"].reason) == ("not judged", JOINT_OFF)


def test_an_alarm_opens_with_the_second_of_three_windows_and_closes_after_two_clean_ones() -> None:
    tables = [MOVED, STILL, MOVED, STILL, STILL]
    found = follow([report_of(table, hours=hour) for hour, table in enumerate(tables)])
    assert [data_of(one).change for one in found] == ["", "", "opened", "", "closed"]
    assert [one.outcome for one in found] == ["clean", "clean", "alarm", "alarm", "clean"]
    assert data_of(found[3]).since == END + timedelta(hours=2)


def test_a_missing_column_opens_at_once() -> None:
    (found,) = follow([report_of(MOVED.select(["age"]))])
    upstream = found.find_kind("upstream")
    assert upstream is not None
    assert (upstream.change, upstream.features) == ("opened", ("size",))


def test_a_window_without_enough_rows_changes_nothing() -> None:
    tables = [MOVED, MOVED, STILL.slice(0, 10), STILL.slice(0, 0)]
    found = follow([report_of(table, hours=hour) for hour, table in enumerate(tables)])
    assert [data_of(one).is_open for one in found] == [False, True, True, True]
    assert "not judged in this window (not enough data" in summarise(found[3])


def test_windows_of_another_version_beside_it_are_not_counted_and_an_open_alarm_stays() -> None:
    first = [report_of(MOVED), report_of(MOVED, hours=1)]
    after = [replace(report_of(STILL, hours=hour), version=4) for hour in (2, 3)]
    found = follow([*first, *after])
    assert [data_of(one).is_open for one in found] == [False, True, True, False]
    assert data_of(found[2]).recent == (False,)


def follow_promotion(before: list[DriftReport], after: DriftReport) -> DriftReport:
    """Return the first window of v4, which serves now; v3 served in those before."""
    assert after.window is not None
    states = {one.kind: one for one in build_states(follow(before)[-1], {})}
    four = replace(after, version=4)
    rule = DriftConfig()
    kinds = advance_kinds(four.kinds, states, 4, after.window, rule, lambda version: version == 4)
    return replace(four, kinds=kinds)


@pytest.mark.parametrize("table", [STILL, MOVED, STILL.slice(0, 10)])
def test_an_alarm_of_a_version_that_no_longer_serves_closes(table: Any) -> None:
    before = [report_of(MOVED), report_of(MOVED, hours=1)]
    last = follow_promotion(before, report_of(table, hours=2))
    assert (data_of(last).is_open, data_of(last).change) == (False, "closed")
    told = describe_change(last, data_of(last))
    assert (told["reason"], told["version"]) == ("v3 no longer serves", 4)


def test_a_late_window_of_a_version_that_no_longer_serves_opens_nothing_and_closes() -> None:
    one, four = DriftConfig(alarms=1), lambda version: version == 4
    late = follow([report_of(MOVED)], one, serves=four)[0]
    assert (data_of(late).is_open, data_of(late).change) == (False, "")
    states = {one.kind: one for one in build_states(follow([report_of(MOVED)], one)[0], {})}
    again = report_of(MOVED, hours=1)
    assert again.window is not None
    kinds = advance_kinds(again.kinds, states, 3, again.window, one, four)
    data = data_of(replace(again, kinds=kinds))
    assert (data.is_open, data.change, data.closed_by) == (False, "closed", "v3 no longer serves")


def test_an_alarm_that_the_first_window_of_the_next_version_opens_stays_open() -> None:
    broken = MOVED.select(["age"])
    last = follow_promotion([report_of(broken)], report_of(broken, hours=1))
    upstream = last.find_kind("upstream")
    assert upstream is not None
    assert (upstream.is_open, upstream.change) == (True, "")


def test_one_window_twice_changes_nothing() -> None:
    found = follow([report_of(MOVED), report_of(MOVED), report_of(MOVED, hours=1)])
    assert [data_of(one).change for one in found] == ["", "", "opened"]


def test_a_state_has_what_the_store_keeps() -> None:
    report = follow([report_of(MOVED, JOINT), report_of(MOVED, JOINT, 1)])[1]
    states = {one.kind: one for one in build_states(report, {}, "http://r", "run")}
    data = states["data"].check()
    assert (data.outcome, data.is_open, data.change) == (
        WindowOutcome.ALARM,
        True,
        AlarmChange.OPENED,
    )
    assert (data.since, data.recent, data.rows) == (END + timedelta(hours=1), (True, True), 1_000)
    assert (data.features[0].name, data.features[0].findings) == ("age", ("distribution",))
    assert data.features[0].scores["psi"] > 0.25
    assert states["joint"].features[0].scores == {"auc_loss": 0.2}
    assert (data.report, data.flow_run) == ("http://r", "run")


def test_the_event_of_a_change_has_features_window_reference_and_version() -> None:
    report = follow([report_of(MOVED), report_of(MOVED, hours=1)])[1]
    told = describe_change(report, data_of(report))
    assert (told["kind"], told["names"], told["version"]) == ("data", "age", 3)
    assert [one["name"] for one in told["features"]] == ["age"]
    assert told["window_end"] == (END + timedelta(hours=1)).isoformat()
    assert (told["reference"], told["rows"]) == ("training", 1_000)


def test_a_file_has_no_state_and_no_event() -> None:
    report = replace(report_of(MOVED), window=None)
    with pytest.raises(ValueError, match="without a window"):
        build_states(report, {})
    with pytest.raises(ValueError, match="without a window"):
        describe_change(report, data_of(report))


def test_an_alarm_of_a_former_reference_is_closed() -> None:
    report = follow([report_of(MOVED), report_of(MOVED, hours=1)])[1]
    state = next(one for one in build_states(report, {}) if one.kind == "data")
    later = Window(END + timedelta(hours=2), END + timedelta(hours=3))
    closed = close_stale(state, "trailing 7 d", later).check()
    assert (closed.is_open, closed.change, closed.reference) == (
        False,
        AlarmChange.CLOSED,
        "training",
    )
    assert closed.reason == "the reference of the service is trailing 7 d now"
    told = describe_stale(closed)
    assert set(told) == set(describe_change(report, data_of(report)))
