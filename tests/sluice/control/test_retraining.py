"""A cause starts a release, waits, or does not count; each with its reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.config.monitoring.retraining import RetrainConfig
from sluice.control.cause import is_automatic
from sluice.control.retraining import (
    LabelCount,
    NewestRelease,
    RetrainingCause,
    RetrainingFacts,
    RetrainingStep,
    WaitingFor,
    decide_retraining,
    describe_causes,
    follow_cause,
    list_events,
    settle_cause,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONFIG = RetrainConfig()
CAUSE = RetrainingCause(
    "work", "performance", "performance measured", NOW - HOUR, "accuracy .71 against .79", 3
)
DRIFT = replace(CAUSE, kind="drift", subject="drift data", reason="data (age)")


def count(feedback: int = 0, rows: int = 0) -> Any:
    return lambda: LabelCount(feedback, rows)


FACTS = RetrainingFacts(
    now=NOW,
    champion=3,
    trained=NOW - 30 * 24 * HOUR,
    count_labels=count(800, 700),
    newest=NewestRelease(NOW - 30 * 24 * HOUR, "registered", "weekly"),
    data_version=5,
    released_data=4,
)


def close(cause: RetrainingCause, facts: RetrainingFacts = FACTS, *when: Any) -> str:
    """Return why a cause is closed; empty where it counts."""
    config = RetrainConfig(when=when) if when else CONFIG
    settled = settle_cause(config, cause, facts)
    assert settled.is_closed is bool(settled.decision)
    return settled.decision


def test_a_loss_of_performance_starts_a_release_by_default() -> None:
    assert close(CAUSE) == ""
    decision = decide_retraining(CONFIG, FACTS)
    assert decision.step is RetrainingStep.START
    assert decision.reason == "800 of 500 labels are new since v3 was trained"


def test_drift_and_alerts_do_not_count_by_default() -> None:
    assert close(DRIFT) == "`retrain` has no `drift`, only data, performance"
    assert close(DRIFT, FACTS, "drift") == ""
    assert close(replace(DRIFT, kind="schedule", subject="schedule")).startswith("`retrain` has no")


def test_only_named_alerts_count_where_rules_are_named() -> None:
    config = RetrainConfig(when=("alert",), alerts=("accuracy",))
    alert = replace(CAUSE, kind="alert", subject="alert latency")
    assert settle_cause(config, alert).decision == "`retrain.alerts` does not name the rule latency"
    assert not settle_cause(config, replace(alert, subject="alert accuracy")).is_closed
    assert not settle_cause(RetrainConfig(when=("alert",)), alert).is_closed


def test_a_cause_about_another_version_is_closed() -> None:
    assert close(replace(CAUSE, version=2)) == "it is about v2, and v3 serves"
    assert close(replace(CAUSE, version=None)) == ""


def test_an_event_from_before_the_champions_training_is_closed() -> None:
    late = replace(FACTS, trained=NOW)
    assert close(CAUSE, late) == "v3 was trained later, at 2026-03-01 12:00 UTC"


@pytest.mark.parametrize("outcome", ["registered", "halted", "skipped", "cancelled"])
def test_a_release_that_began_later_answers_a_cause(outcome: str) -> None:
    newest = NewestRelease(NOW - HOUR / 2, outcome)
    expected = f"the release that began at 2026-03-01 11:30 UTC answers it: {outcome}"
    assert close(CAUSE, replace(FACTS, newest=newest)) == expected


@pytest.mark.parametrize("outcome", ["failed", "crashed", "interrupted"])
def test_a_release_that_failed_answers_nothing_and_is_tried_after_the_cool_down(
    outcome: str,
) -> None:
    facts = replace(FACTS, newest=NewestRelease(NOW - HOUR / 2, outcome))
    assert close(CAUSE, facts) == ""
    assert decide_retraining(CONFIG, facts).waits is WaitingFor.COOL_DOWN
    later = replace(facts, now=NOW + 24 * HOUR)
    assert decide_retraining(CONFIG, later).step is RetrainingStep.START


def test_what_is_over_before_a_release_started_is_closed() -> None:
    assert close(replace(CAUSE, is_over=True)).startswith("it was over at 2026-03-01 11:00 UTC")


WAITS: dict[str, tuple[dict[str, Any], WaitingFor, str]] = {
    "no champion": ({"champion": None}, WaitingFor.CHAMPION, "nothing serves yet"),
    "a release to come": (
        {"pending": "the release for drift.detected"},
        WaitingFor.RELEASE,
        "the release for drift.detected has not begun",
    ),
    "a release at work": (
        {"newest": NewestRelease(NOW - HOUR, "running")},
        WaitingFor.RELEASE,
        "the release of 2026-03-01 11:00 UTC is running",
    ),
    "a rollout": (
        {"rollout": "the rollout of v4"},
        WaitingFor.ROLLOUT,
        "the rollout of v4 is under way, and decides first",
    ),
    "the cool-down": (
        {"newest": NewestRelease(NOW - 2 * HOUR, "halted")},
        WaitingFor.COOL_DOWN,
        "cool-down until 2026-03-02 10:00 UTC after the release of 2026-03-01 10:00 UTC (halted)",
    ),
    "too few labels": (
        {"count_labels": count(311, 12)},
        WaitingFor.LABELS,
        "311 of 500 labels are new since v3 was trained",
    ),
    "labels that are no rows yet": (
        {"data_version": 4},
        WaitingFor.ROWS,
        "but the data has no version after v4, which was released",
    ),
}


@pytest.mark.parametrize("case", WAITS)
def test_a_cause_waits_with_its_reason(case: str) -> None:
    change, waits, reason = WAITS[case]
    decision = decide_retraining(CONFIG, replace(FACTS, **change))
    assert (decision.step, decision.waits) == (RetrainingStep.WAIT, waits)
    assert reason in decision.reason


def test_no_label_is_counted_where_none_is_asked_for() -> None:
    config = RetrainConfig(minimum_labels=0)
    facts = replace(FACTS, count_labels=lambda: pytest.fail("counted"), data_version=4)
    assert decide_retraining(config, facts).step is RetrainingStep.START


def test_labels_are_not_counted_while_something_else_holds_back() -> None:
    facts = replace(FACTS, rollout="the rollout of v4", count_labels=lambda: pytest.fail("counted"))
    assert decide_retraining(CONFIG, facts).waits is WaitingFor.ROLLOUT


def test_labelled_answers_that_became_rows_count_once() -> None:
    assert LabelCount(600, 550).found == 600
    assert LabelCount(0, 12_000).found == 12_000


EVENTS = (
    CAUSE,
    replace(CAUSE, at=NOW, is_over=True),
    replace(CAUSE, at=NOW + HOUR, reason="accuracy .69 against .79"),
)


def test_events_in_any_order_and_twice_end_the_same() -> None:
    for order in permutations(EVENTS * 2):
        seen: RetrainingCause | None = None
        for event in order:
            seen = follow_cause(seen, event) or seen
        assert seen is not None
        assert (seen.at, seen.is_over, seen.reason) == (NOW + HOUR, False, EVENTS[2].reason)


def test_a_copy_and_an_older_event_change_nothing() -> None:
    assert follow_cause(CAUSE, CAUSE) is None
    assert follow_cause(CAUSE, replace(CAUSE, at=CAUSE.at - HOUR, is_over=True)) is None


def test_a_newer_event_of_a_waiting_cause_keeps_the_start_of_the_first_window() -> None:
    first = replace(CAUSE, since=NOW - 9 * HOUR, waits=WaitingFor.LABELS, decision="few labels")
    newer = replace(CAUSE, at=NOW, since=NOW - HOUR, reason="accuracy .65 against .79")
    merged = follow_cause(first, newer)
    assert merged == replace(
        newer, since=NOW - 9 * HOUR, waits=WaitingFor.LABELS, decision="few labels"
    )


def test_a_closed_cause_opens_again_with_a_newer_event() -> None:
    closed = replace(CAUSE, is_closed=True, decision="answered", since=NOW - 9 * HOUR)
    newer = replace(CAUSE, at=NOW)
    assert follow_cause(closed, newer) == newer


@given(
    st.lists(
        st.builds(
            lambda minutes, over: replace(CAUSE, at=NOW + timedelta(minutes=minutes), is_over=over),
            st.integers(0, 5),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_newest_event_decides_whatever_the_order(events: list[RetrainingCause]) -> None:
    seen: RetrainingCause | None = None
    for event in events:
        seen = follow_cause(seen, event) or seen
    assert seen is not None
    newest = max(item.at for item in events)
    first = next(item for item in events if item.at == newest)
    assert (seen.at, seen.is_over) == (newest, first.is_over)


def test_several_causes_are_one_text_with_each_event_once() -> None:
    other = replace(CAUSE, subject="performance estimated", reason="auc .80 against .84")
    text = describe_causes([CAUSE, other, DRIFT])
    assert text == (
        "performance.dropped and drift.detected: accuracy .71 against .79; auc .80 against .84; "
        "data (age)"
    )
    assert list_events(text) == ["performance.dropped", "drift.detected"]
    assert describe_causes([replace(DRIFT, kind="schedule", reason="")]) == "schedule"


def test_a_release_by_a_person_or_its_own_schedule_always_runs() -> None:
    assert is_automatic("data.changed")
    assert is_automatic("performance.dropped: accuracy .71 against .79")
    assert not is_automatic("by hand")
    assert not is_automatic("weekly")
