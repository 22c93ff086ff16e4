"""Guardrails on answers: what leaves in each mode, whole and in pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.llm.calls import OutputGuard
from serving.llm.guards import StreamMode, open_guard
from sluice.guardrails.actions import GuardrailRules
from sluice.prompts.chat import ToolCall

SECRET = "AKIAIOSFODNN7EXAMPLE"  # noqa: S105
EMAIL = "ada.lovelace@example.com"
MASK = GuardrailRules({"secrets": "mask", "email": "mask", "profanity": "flag"})
BLOCK = GuardrailRules({"secrets": "block"})
PROSE = "The mill at the river was built in 1794 and still turns on market days. " * 12


def run(guard: OutputGuard, text: str, sizes: list[int], calls: tuple[ToolCall, ...] = ()) -> str:
    """Feed a text in pieces of these sizes, again and again; return all that left."""
    left, place, turn = "", 0, 0
    while place < len(text) and not guard.is_blocked:
        size = sizes[turn % len(sizes)]
        left += guard.feed(text[place : place + size])
        place, turn = place + size, turn + 1
    return left if guard.is_blocked else left + guard.end(calls)[0]


def streamed(rules: GuardrailRules, mode: StreamMode, window: int = 100) -> OutputGuard:
    return open_guard(rules, mode, window, is_streamed=True)


@pytest.mark.parametrize("mode", ["buffer", "window"])
@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(0, len(PROSE) - 1))
def test_a_secret_that_is_split_anywhere_never_leaves(
    mode: StreamMode, sizes: list[int], place: int
) -> None:
    cut = PROSE.rfind(" ", 0, place) + 1
    text = f"{PROSE[:cut]}{SECRET} {EMAIL} {PROSE[cut:]}"
    guard = streamed(MASK, mode)
    assert run(guard, text, sizes) == f"{PROSE[:cut]}[aws_key] [email] {PROSE[cut:]}"
    assert sorted(guard.hits) == ["output:aws_key:mask", "output:email:mask"]


@pytest.mark.parametrize("mode", ["buffer", "window"])
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_a_secret_that_is_blocked_ends_the_answer_before_it(
    mode: StreamMode, sizes: list[int]
) -> None:
    guard = streamed(BLOCK, mode)
    left = run(guard, f"{PROSE}{SECRET} {PROSE}", sizes)
    assert guard.is_blocked
    assert PROSE.startswith(left)
    assert guard.hits == ("output:aws_key:block",)


@pytest.mark.parametrize("mode", ["buffer", "window", "end"])
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=5))
def test_a_text_without_hits_leaves_as_it_is(mode: StreamMode, sizes: list[int]) -> None:
    guard = streamed(MASK, mode)
    assert run(guard, PROSE, sizes) == PROSE
    assert guard.hits == ()


def test_window_lets_the_beginning_leave_early_and_buffer_does_not() -> None:
    window, buffer = streamed(MASK, "window"), streamed(MASK, "buffer")
    assert len(window.feed(PROSE)) > len(PROSE) - 120
    assert buffer.feed(PROSE) == ""


def test_a_word_longer_than_the_window_is_kept_together() -> None:
    token = f"eyJ{'a' * 200}.eyJ{'b' * 200}.{'c' * 40}"
    guard = streamed(MASK, "window")
    text = f"{PROSE}{token} {PROSE}"
    assert run(guard, text, [7]) == f"{PROSE}[jwt] {PROSE}"


def test_a_word_without_end_does_not_hold_the_stream_for_ever() -> None:
    guard = streamed(MASK, "window")
    assert len(run(guard, "z" * 9000, [50])) == 9000


@pytest.mark.parametrize("first", [" ", ""])
def test_a_blank_at_the_beginning_holds_nothing_back_for_ever(first: str) -> None:
    guard = streamed(MASK, "window")
    assert run(guard, first + "z" * 9000, [50]) == first + "z" * 9000


def test_what_is_flagged_leaves_and_is_counted_once() -> None:
    guard = streamed(MASK, "window")
    text = f"{PROSE}what a bastard {PROSE}"
    assert run(guard, text, [3]) == text
    assert guard.hits == ("output:profanity:flag",)


def test_end_lets_everything_leave_and_keeps_a_masked_text() -> None:
    guard = streamed(MASK, "end")
    text = f"Write to {EMAIL} today."
    assert run(guard, text, [5]) == text
    assert guard.hits == ("output:email:flag",)
    assert guard.restate(text) == "Write to [email] today."


@pytest.mark.parametrize("mode", ["buffer", "window"])
def test_arguments_of_tools_are_judged_too(mode: StreamMode) -> None:
    call = ToolCall("send", f'{{"to": "{EMAIL}"}}', "1")
    guard = streamed(MASK, mode)
    assert guard.end((call,))[1] == (ToolCall("send", '{"to": "[email]"}', "1"),)
    blocking = streamed(GuardrailRules({"email": "block"}), mode)
    assert blocking.end((call,)) == ("", ())
    assert blocking.is_blocked


def test_an_answer_that_is_not_streamed_is_judged_as_a_whole_in_every_mode() -> None:
    guard = open_guard(MASK, "end", 100, is_streamed=False)
    assert guard.feed(f"Write to {EMAIL}.") == ""
    assert guard.end(())[0] == "Write to [email]."


def test_a_single_rule_goes_before_its_group() -> None:
    rules = GuardrailRules({"pii": "flag", "email": "mask"})
    guard = open_guard(rules, "buffer", 100, is_streamed=False)
    guard.feed(f"{EMAIL}, +44 20 7946 0958")
    assert guard.end(())[0] == "[email], +44 20 7946 0958"
    assert sorted(guard.hits) == ["output:email:mask", "output:phone:flag"]
