"""Alerts, silences and signals in the control store."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from sluice.adapters.control.schema import ALERT_CHANGES, ALERT_SILENCES
from sluice.adapters.control.store import Control
from sluice.errors import CommandRefused, DataInvalid
from sluice.monitoring.alerts import AlertChange, AlertState, Silence, find_silence, follow_steps
from sluice.monitoring.rules import RuleOutcome
from support.monitoring import MINUTE, NOON, SERVICE, judge, make_rule, make_signal

RULE = "failed-predictions"


def step(control: Control, minutes: int = 0) -> tuple[bool, Sequence[AlertChange]]:
    """Judge the alert broken once, as a monitor does."""
    before = control.alerts.find(SERVICE, RULE)
    after, changes = follow_steps(before, make_rule(), [judge(NOON + minutes * MINUTE)])
    return control.alerts.advance(before, after, changes), changes


def silence(hours: float = 1, **keys: str) -> Silence:
    values = {"by": "ada", "reason": "planned work", **keys}
    return Silence(SERVICE, RULE, start=NOON, until=NOON + timedelta(hours=hours), **values)


def test_an_alert_that_was_never_judged_is_quiet(control: Control) -> None:
    assert control.alerts.find(SERVICE, RULE) == AlertState(SERVICE, RULE)


def test_an_alert_is_read_as_it_was_written(control: Control) -> None:
    step(control)
    found = control.alerts.find(SERVICE, RULE)
    assert (found.phase, found.judged, found.revision) == ("firing", NOON, 1)
    assert control.alerts.list_alerts() == [found] == control.alerts.list_alerts(SERVICE)
    assert control.alerts.list_alerts("arrivals") == []


def test_only_the_first_of_two_monitors_writes(control: Control) -> None:
    before = control.alerts.find(SERVICE, RULE)
    after, changes = follow_steps(before, make_rule(), [judge(NOON)])
    assert [control.alerts.advance(before, after, changes) for _ in range(2)] == [True, False]
    assert [change.kind for change in control.alerts.list_changes(SERVICE)] == ["raised"]


def test_many_monitors_at_once_note_each_change_once(control: Control) -> None:
    with ThreadPoolExecutor(6) as pool:
        written = list(pool.map(lambda _: step(control)[0], range(6)))
    assert any(written)
    assert len(control.alerts.list_changes(SERVICE)) == 1


def test_a_change_is_told_once_and_in_order(control: Control) -> None:
    step(control)
    before = control.alerts.find(SERVICE, RULE)
    after, changes = follow_steps(before, make_rule(), [judge(NOON + MINUTE, RuleOutcome.HOLDS)])
    control.alerts.advance(before, after, changes)
    first, second = control.alerts.list_untold(SERVICE)
    assert (first.kind, second.kind) == ("raised", "resolved")
    control.alerts.mark_told(first)
    assert control.alerts.list_untold(SERVICE) == [second]
    control.alerts.mark_told(second)
    control.alerts.mark_told(first)  # by a monitor that was late
    assert control.alerts.list_untold(SERVICE) == []


@pytest.mark.parametrize("table", [ALERT_CHANGES, ALERT_SILENCES], ids=lambda item: item.name)
def test_logs_are_only_appended(control: Control, table: object) -> None:
    step(control)
    control.alerts.silence(silence())
    with pytest.raises(Exception, match="are only appended"), _open(control) as connection:
        connection.execute(table.delete())  # type: ignore[attr-defined]


def _open(control: Control):  # type: ignore[no-untyped-def]
    return control.alerts._database.engine.begin()


def test_a_silence_needs_a_name_a_reason_and_an_end_after_its_start(control: Control) -> None:
    for keys, words in (({"by": " "}, "found no name"), ({"reason": ""}, "found no reason")):
        with pytest.raises(CommandRefused, match=words):
            control.alerts.silence(silence(**keys))
    for keys, words in (
        ({"by": "A" * 300}, "silence: name: found 300 characters; allowed: 200 at most"),
        ({"reason": "r" * 2_001}, "silence: reason: found 2,001 characters; allowed: 2,000"),
        ({"reason": "\x1b[31mred"}, r"silence: reason: found the control character '\\x1b'"),
        ({"by": "Ada\x00"}, r"silence: name: found the control character '\\x00'"),
    ):
        with pytest.raises(CommandRefused, match=words):
            control.alerts.silence(silence(**keys))
    plain = silence(reason="un\u00a0essai \U0001f469\u200d\U0001f4bb:\ntwo lines")
    assert control.alerts.silence(plain).number
    with pytest.raises(CommandRefused, match="until: found 2026-11-30 11:00 UTC; allowed: a time"):
        control.alerts.silence(silence(-1))


def test_a_later_silence_replaces_the_one_in_force(control: Control) -> None:
    first = control.alerts.silence(silence(8))
    second = control.alerts.silence(replace(silence(1), start=NOON + MINUTE))
    found = control.alerts.list_silences(SERVICE)
    assert [item.number for item in found] == [first.number, second.number]
    assert found[0].until == NOON + MINUTE
    assert find_silence(found, NOON + 3 * timedelta(hours=1)) is None


def test_a_silence_ends_when_a_person_says_so(control: Control) -> None:
    control.alerts.silence(silence())
    control.alerts.unsilence(SERVICE, RULE, "bob", "done early", NOON + 5 * MINUTE)
    (found,) = control.alerts.list_silences(SERVICE)
    assert (found.until, found.ended_by) == (NOON + 5 * MINUTE, "bob")
    with pytest.raises(CommandRefused, match="failed-predictions of employment is not silenced"):
        control.alerts.unsilence(SERVICE, RULE, "bob", "again", NOON + 6 * MINUTE)


def test_a_signal_of_one_window_is_recorded_once(control: Control) -> None:
    signal = make_signal("feature-psi", 0.3, subject="age", confirmed=True)
    assert control.signals.record([signal, signal]) == 1
    assert control.signals.record([signal]) == 0
    assert [item for _, item in control.signals.list_since(SERVICE, "feature-psi", 0)] == [signal]


def test_signals_are_listed_after_a_number(control: Control) -> None:
    signals = [make_signal("output-psi", 0.1 * n, NOON + n * MINUTE) for n in range(3)]
    control.signals.record(signals)
    (first, _), *_ = control.signals.list_since(SERVICE, "output-psi", 0)
    later = control.signals.list_since(SERVICE, "output-psi", first)
    assert [item for _, item in later] == signals[1:]
    assert control.signals.list_newest() == [signals[2]]


def test_of_a_figure_of_the_moment_only_the_newest_is_kept(control: Control) -> None:
    for minutes in (0, 5):
        signal = make_signal("refused-rows", 2.0 + minutes, NOON + minutes * MINUTE)
        assert control.signals.record([signal]) == 1
    assert [item for _, item in control.signals.list_since(SERVICE, "refused-rows", 0)] == [signal]


def test_old_signals_go(control: Control) -> None:
    control.signals.record([make_signal(at=NOON), make_signal(at=NOON + 9 * MINUTE)])
    assert control.signals.prune(NOON + MINUTE) == 1
    assert len(control.signals.list_newest(SERVICE)) == 1


def test_a_signal_that_is_not_finite_is_recorded_nowhere(control: Control) -> None:
    with pytest.raises(DataInvalid, match="found nan"):
        control.signals.record([make_signal(), make_signal(value=float("nan"))])
    assert control.signals.list_newest() == []
