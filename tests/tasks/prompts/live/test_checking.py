"""A version that serves is asked anew: a silent change is found, and nothing else is."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import prepare_control
from sluice.control.spending import BILLION, Account
from sluice.home import Home
from sluice.verdict import Outcome
from support.llm.answers import FakeAnswer
from support.llm.provider import FakeProvider, run_provider
from support.llm.served import PROMPT, SILENT, answer_worse, serve_prompt
from tasks.prompts.live.checking import SIGNAL, check_active


@pytest.fixture(scope="module")
def running() -> Iterator[FakeProvider]:
    with run_provider() as found:
        yield found


@pytest.fixture
def served(
    running: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    with serve_prompt(running, tmp_path, monkeypatch) as home:
        yield home


def read_signal(home: Home) -> Any:
    return prepare_control(home).signals.list_since(PROMPT, SIGNAL, 0)[-1][1]


def test_the_same_model_passes_and_is_asked_in_spite_of_kept_replies(
    served: Home, running: FakeProvider
) -> None:
    before = len(running.asked)
    found = check_active(PROMPT, SILENT)
    assert found is not None
    assert (found.outcome, found.failed) == (Outcome.PASS, ())
    assert len(running.asked) - before == 60
    assert (read_signal(served).value, read_signal(served).n) == (0.0, 60)


def test_a_silent_change_of_the_model_fails_and_the_fallback_is_asked(
    served: Home, running: FakeProvider
) -> None:
    running.reset(answer_worse)
    found = check_active(PROMPT, SILENT, with_fallback=True)
    assert found is not None
    assert found.outcome is Outcome.FAIL
    assert "format_valid limit" in [item.name for item in found.failed]
    assert found.fallback is not None
    assert found.fallback.outcome is Outcome.PASS
    signal = read_signal(served)
    assert (signal.value, signal.version) == (float(len(found.failed)), 1)
    assert signal.reason.startswith("format_valid")


def test_a_provider_that_is_away_decides_nothing(served: Home, running: FakeProvider) -> None:
    running.reset(FakeAnswer(fault="status", status=400, message="no such thing"))
    found = check_active(PROMPT, SILENT)
    assert found is not None
    assert found.outcome is Outcome.INSUFFICIENT
    assert read_signal(served).value is None
    assert read_signal(served).reason


def test_an_evaluation_counts_in_the_budgets_of_its_prompt(served: Home) -> None:
    spending = prepare_control(served).spending
    day = Account("service", PROMPT, f"{datetime.now(UTC):%Y-%m-%d}")
    before = spending.find(day)
    assert before.calls == 60
    check_active(PROMPT, SILENT)
    after = spending.find(day)
    assert after.calls == 120
    assert (after.spent - before.spent) / BILLION == pytest.approx(before.spent / BILLION)
    assert after.reserved == 0


def test_a_prompt_that_does_not_serve_is_left_alone(served: Home) -> None:
    assert check_active("greet", SILENT) is None
