"""An alarm opens after m of n windows, closes after as many clean ones, and does not flap."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.drift.findings import Kind, Outcome
from sluice.drift.windows import NO_ALARM, AlarmState, WindowRule, advance_alarm

LETTERS: dict[str, Outcome] = {"A": "alarm", "c": "clean", "-": "not judged"}


def play(outcomes: str, kind: Kind = "data", rule: WindowRule | None = None) -> str:
    """Return O where the alarm opened, x where it closed, and . for the other windows."""
    state, changes = NO_ALARM, ""
    for end, letter in enumerate(outcomes):
        state, change = advance_alarm(
            state, kind, float(end), LETTERS[letter], rule or WindowRule()
        )
        changes += {"opened": "O", "closed": "x", "": "."}[change]
    return changes


@pytest.mark.parametrize(
    ("outcomes", "changes"),
    [
        ("A", "."),
        ("AA", ".O"),
        ("AcA", "..O"),
        ("AccA", "...."),
        ("AAcc", ".O.x"),
        ("AAcAcAcc", ".O.....x"),
        ("A--A", "...O"),
        ("AA-c-c", ".O...x"),
        ("AAccA", ".O.x."),
        ("AAccAA", ".O.x.O"),
        ("----", "...."),
    ],
)
def test_two_of_three(outcomes: str, changes: str) -> None:
    assert play(outcomes) == changes


def test_an_upstream_break_opens_at_once_and_closes_like_the_others() -> None:
    assert play("Acc", "upstream") == "O.x"


def test_three_of_five() -> None:
    assert play("AcAcAccc", rule=WindowRule(3, 5)) == "....O..x"


def test_a_clean_window_never_opens_an_alarm() -> None:
    state = AlarmState(outcomes=(True, True, False), last=1.0)
    assert advance_alarm(state, "data", 2.0, "clean") == (
        AlarmState(outcomes=(True, False, False), last=2.0),
        "",
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("Ac-"), max_size=30), st.randoms())
def test_a_window_counts_once(outcomes: list[str], random: object) -> None:
    once = twice = NO_ALARM
    for end, letter in enumerate(outcomes):
        once, _ = advance_alarm(once, "data", end, LETTERS[letter])
        for _ in range(2):
            twice, _ = advance_alarm(twice, "data", end, LETTERS[letter])
        twice, change = advance_alarm(twice, "data", end - 1.0, "alarm")
        assert not change
    assert once == twice


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("Ac-"), max_size=40))
def test_openings_and_closings_alternate(outcomes: list[str]) -> None:
    changes = play("".join(outcomes)).replace(".", "")
    assert "OO" not in changes
    assert "xx" not in changes
    assert not changes.startswith("x")


def test_the_state_survives_its_document() -> None:
    state = AlarmState(True, (True, False, True), 12.5, 11.0)
    assert AlarmState.from_dict(state.to_dict()) == state


@pytest.mark.parametrize(("alarms", "windows"), [(0, 3), (4, 3)])
def test_an_impossible_rule_is_refused(alarms: int, windows: int) -> None:
    with pytest.raises(ValueError, match="allowed: 1 to 3"):
        WindowRule(alarms, windows)
