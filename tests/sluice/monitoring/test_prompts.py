"""Figures of a prompt's calls by minute: hits, tokens, ratings and times over a window."""

from typing import Any

import numpy as np
import pytest

from sluice.monitoring.prompts import CallColumns, CallHistory, CallView
from sluice.monitoring.signals import Signal
from support.monitoring import MINUTE, NOON, make_rule

START = NOON.timestamp()


def make_calls(count: int = 100, **changes: Any) -> CallColumns:
    """One call a second from noon; each takes 100 tokens and 1 to 100 ms."""
    values = {
        "at": START + np.arange(count, dtype=float),
        "version": np.full(count, 2.0),
        "has_hit": np.zeros(count, bool),
        "tokens": np.full(count, 100.0),
        "first_token_ms": np.full(count, np.nan),
        "response_ms": np.linspace(1.0, 100.0, count),
        "is_whole": np.ones(count, bool),
    }
    return CallColumns(**{**values, **changes})


def measure(
    signal: str, history: CallHistory, expected: dict[int, float] | None = None, **keys: Any
) -> Signal:
    side = {"below": 0.8} if signal == "thumbs-up-share" else {"above": 0.5}
    rule = make_rule(signal=signal, window="5 min", **{**side, **keys})
    return CallView("greet", history, expected or {}).measure(rule, NOON + 5 * MINUTE)


def fill(**changes: Any) -> CallHistory:
    history = CallHistory()
    history.add_calls(make_calls(**changes))
    return history


def test_requests_with_a_hit_are_a_share_of_all() -> None:
    found = measure("guardrail-share", fill(has_hit=np.arange(100) < 7))
    assert (found.value, found.n) == (0.07, 100)


def test_tokens_are_compared_with_the_evaluation_of_the_version_that_answered() -> None:
    history = fill(version=np.where(np.arange(100) < 50, 1.0, 2.0))
    found = measure("token-ratio", history, {1: 50.0, 2: 100.0})
    assert (found.value, found.n) == (pytest.approx(10_000 / 7_500), 100)


def test_a_version_without_evaluation_is_left_out_and_named() -> None:
    history = fill(version=np.where(np.arange(100) < 50, 1.0, 2.0))
    found = measure("token-ratio", history, {2: 50.0})
    assert (found.value, found.n) == (2.0, 50)
    assert found.reason == "no evaluation of v1 is kept here"
    assert measure("token-ratio", history).value is None


def test_requests_with_unknown_tokens_count_nowhere() -> None:
    history = fill(tokens=np.where(np.arange(100) < 90, np.nan, 100.0))
    assert measure("token-ratio", history, {2: 100.0}).n == 10


def test_the_time_to_the_first_token_is_that_of_streamed_answers() -> None:
    rng = np.random.default_rng(3)
    times = np.where(np.arange(100) < 60, rng.lognormal(6, 1, 100), np.nan)
    found = measure("first-token-p95", fill(first_token_ms=times))
    exact = np.nanquantile(times, 0.95, method="inverted_cdf")
    assert (found.n, found.value) == (60, pytest.approx(exact, rel=0.01))
    none = measure("first-token-p95", fill())
    assert (none.value, none.reason) == (None, "no streamed answer in the window")


def test_whole_answers_alone_have_a_response_time() -> None:
    found = measure("response-p95", fill(is_whole=np.arange(100) < 50))
    assert (found.n, found.value) == (50, pytest.approx(48, rel=0.02))


def test_the_last_rating_of_an_answer_counts_and_zero_is_none() -> None:
    history = fill()
    answers = [f"r{number}" for number in range(60)]
    history.add_ratings(np.full(60, START + 61), answers, np.where(np.arange(60) < 30, -1.0, 1.0))
    history.add_ratings(np.full(2, START + 181), ["r0", "r59"], np.array([0.5, 0.0]))
    found = measure("thumbs-up-share", history)
    assert (found.value, found.n) == (31 / 60, 60)


def test_a_window_without_calls_is_not_measured() -> None:
    for signal in ("guardrail-share", "token-ratio", "response-p95", "first-token-p95"):
        assert measure(signal, CallHistory()).reason == "no request in the window"
    assert measure("thumbs-up-share", CallHistory()).reason == "no rating in the window"


@pytest.mark.parametrize("parts", [2, 5])
def test_calls_that_are_added_in_parts_are_counted_as_together(parts: int) -> None:
    whole, split = fill(), CallHistory()
    calls = make_calls()
    for chosen in np.array_split(np.random.default_rng(1).permutation(100), parts):
        split.add_calls(CallColumns(**{name: value[chosen] for name, value in vars(calls).items()}))
    assert split.minutes == whole.minutes
