"""An alert's life: each change is noted once, whatever comes and in whatever order."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.monitoring.alerts import (
    AlertChange,
    AlertPhase,
    AlertState,
    ChangeKind,
    Silence,
    advance_alert,
    close_alert,
    follow_steps,
    read_change,
    read_state,
    write_change,
    write_state,
)
from sluice.monitoring.rules import Judgement, RuleOutcome
from support.monitoring import MINUTE, NOON, SERVICE, judge, make_rule

QUIET = AlertState(SERVICE, "failed-predictions")
OUTCOMES = {"b": RuleOutcome.BROKEN, "h": RuleOutcome.HOLDS, "u": RuleOutcome.UNKNOWN}


def follow(
    course: str, *silences: Silence, **keys: object
) -> tuple[AlertState, list[ChangeKind], list[AlertChange]]:
    """Judge once a minute: b is broken, h holds, u is unknown."""
    judgements = [judge(NOON + place * MINUTE, OUTCOMES[mark]) for place, mark in enumerate(course)]
    alert, changes = follow_steps(QUIET, make_rule(**keys), judgements, silences)
    return alert, [change.kind for change in changes], changes


def silence(first: int, last: int, number: int = 1) -> Silence:
    start, until = NOON + first * MINUTE, NOON + last * MINUTE
    return Silence(SERVICE, QUIET.rule, "ada", "planned work", start, until, number)


def test_a_rule_without_for_is_raised_at_once_and_resolved_at_once() -> None:
    _, kinds, _ = follow("hbbh")
    assert kinds == ["raised", "resolved"]


def test_it_is_pending_until_for_is_over() -> None:
    alert, kinds, changes = follow("bbb", **{"for": "2 min"})
    assert kinds == ["pending", "raised"]
    assert changes[1].at - changes[1].since == 2 * MINUTE
    assert alert.phase is AlertPhase.FIRING


def test_it_is_cleared_where_the_rule_holds_before_for_is_over() -> None:
    alert, kinds, _ = follow("bbhbh", **{"for": "2 min"})
    assert kinds == ["pending", "cleared", "pending", "cleared"]
    assert alert.phase is AlertPhase.QUIET


def test_it_keeps_firing_until_the_rule_has_held_long_enough() -> None:
    _, kinds, changes = follow("bhhbhhhh", keep_firing_for="3 min")
    assert kinds == ["raised", "resolved"]
    assert changes[1].at == NOON + 7 * MINUTE


@pytest.mark.parametrize("course", ["buuu", "uuu", "hu"])
def test_what_cannot_be_judged_changes_nothing(course: str) -> None:
    alert, kinds, _ = follow(course)
    assert kinds == (["raised"] if "b" in course else [])
    assert alert.phase is (AlertPhase.FIRING if "b" in course else AlertPhase.QUIET)
    assert alert.outcome is RuleOutcome.UNKNOWN


def test_a_moment_that_was_judged_is_not_judged_again() -> None:
    alert, _, _ = follow("bb")
    again, changes = advance_alert(alert, make_rule(), judge(NOON, RuleOutcome.HOLDS))
    assert (again, changes) == (alert, [])


def test_a_silenced_alert_is_not_raised_and_ends_without_a_word() -> None:
    _, kinds, _ = follow("bbh", silence(0, 10))
    assert kinds == ["silenced", "muted", "cleared"]


def test_an_alert_that_outlasts_its_silence_is_raised_then() -> None:
    _, kinds, changes = follow("bbbbh", silence(0, 2))
    assert kinds == ["silenced", "muted", "unsilenced", "raised", "resolved"]
    assert changes[2].reason == "its time is over"


def test_an_alert_that_was_raised_before_its_silence_is_resolved_in_it() -> None:
    _, kinds, _ = follow("bbh", silence(1, 10))
    assert kinds == ["raised", "silenced", "resolved"]


def test_a_silence_says_who_why_and_until_when() -> None:
    _, _, changes = follow("h", silence(0, 10))
    assert (changes[0].by, changes[0].reason) == ("ada", "until 2026-11-30 12:10 UTC: planned work")


def test_a_silence_that_a_person_ends_says_who_did() -> None:
    ended = replace(silence(0, 1), ended_by="bob", ended_reason="done early")
    _, _, changes = follow("hh", ended)
    assert (changes[1].kind, changes[1].by, changes[1].reason) == (
        "unsilenced",
        "bob",
        "done early",
    )


def test_an_alert_whose_rule_is_switched_off_is_resolved() -> None:
    alert, _, _ = follow("b")
    after, changes = close_alert(alert, "warning", NOON + MINUTE)
    assert [change.kind for change in changes] == ["resolved"]
    assert close_alert(after, "warning", NOON + 2 * MINUTE)[1] == []


courses = st.text(alphabet="bhu", max_size=40)
waits = st.integers(0, 4).map(lambda minutes: f"{minutes} min")
spans = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 20)).map(lambda pair: (pair[0], sum(pair))),
    max_size=3,
)


@given(courses, spans, waits, waits)
def test_raised_and_resolved_alternate(
    course: str, silenced: list[tuple[int, int]], wait: str, keep: str
) -> None:
    silences = [silence(*span, number) for number, span in enumerate(silenced, 1)]
    alert, kinds, _ = follow(course, *silences, **{"for": wait, "keep_firing_for": keep})
    spoken = [kind for kind in kinds if kind in ("raised", "resolved")]
    assert spoken == ["raised", "resolved"] * (len(spoken) // 2) + ["raised"] * (len(spoken) % 2)
    assert alert.is_raised == (len(spoken) % 2 == 1)


@given(courses, spans, waits, waits)
def test_nothing_is_raised_while_it_is_silenced(
    course: str, silenced: list[tuple[int, int]], wait: str, keep: str
) -> None:
    silences = [silence(*span, number) for number, span in enumerate(silenced, 1)]
    _, _, changes = follow(course, *silences, **{"for": wait, "keep_firing_for": keep})
    raised = [change.at for change in changes if change.kind is ChangeKind.RAISED]
    assert not any(item.is_active(at) for item in silences for at in raised)


@given(courses, st.lists(st.integers(1, 5), min_size=1), waits, waits)
def test_how_often_the_monitor_runs_makes_no_difference(
    course: str, runs: list[int], wait: str, keep: str
) -> None:
    rule = make_rule(**{"for": wait, "keep_firing_for": keep})
    judgements = [judge(NOON + place * MINUTE, OUTCOMES[mark]) for place, mark in enumerate(course)]
    once = follow_steps(QUIET, rule, judgements)
    alert, changes, rest = QUIET, list[AlertChange](), list[Judgement](judgements)
    while rest:
        size = runs.pop() if runs else len(rest)
        alert, more = follow_steps(alert, rule, rest[:size])
        alert = read_state(SERVICE, QUIET.rule, write_state(alert))
        changes, rest = changes + more, rest[size:]
    assert (alert, changes) == once


@given(courses, spans)
def test_changes_are_read_as_they_were_written(
    course: str, silenced: list[tuple[int, int]]
) -> None:
    silences = [silence(*span, number) for number, span in enumerate(silenced, 1)]
    _, _, changes = follow(course, *silences)
    assert [read_change(write_change(change), 0) for change in changes] == changes


def test_a_silence_is_over_at_its_end() -> None:
    given_ = silence(0, 5)
    assert given_.is_active(NOON + timedelta(minutes=5, microseconds=-1))
    assert not given_.is_active(NOON + 5 * MINUTE)
