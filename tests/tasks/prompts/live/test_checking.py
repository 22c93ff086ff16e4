"""A version that serves is asked anew: a silent change is found, and nothing else is."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.adapters.control.store import prepare_control
from sluice.adapters.storage import write_whole
from sluice.config.llm.loading import load_language_serving
from sluice.control.route import Route
from sluice.control.spending import BILLION, Account
from sluice.home import Home
from sluice.prompts.folder import load_prompt
from sluice.prompts.published import write_published
from sluice.verdict import Outcome
from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.asking import KEY_VARIABLE
from support.llm.provider import KEY, FakeProvider, run_provider
from support.prompts import (
    answer_small,
    use_prompts,
    write_small_prompt,
    write_small_providers,
)
from support.servers.images import use_home
from tasks.prompts.live.checking import SIGNAL, check_active, plan_version
from tasks.prompts.version import EvaluationReporter, evaluate_version, store_evaluation

SILENT = EvaluationReporter(lambda _words: None, lambda _prompt, _event, _payload: None)
PROMPT = "classify"


@pytest.fixture(scope="module")
def running() -> Iterator[FakeProvider]:
    with run_provider() as found:
        yield found


@pytest.fixture
def served(
    running: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    """A prompt whose version 1 was evaluated, published and serves; its model has a fallback."""
    running.reset(answer_small)
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    prompts, configs = tmp_path / "prompts", tmp_path / "configs"
    write_small_prompt(prompts)
    write_small_providers(configs, running.url)
    file = configs / "llm" / "providers.yaml"
    config = yaml.safe_load(file.read_text())
    model = config["models"]["claude-sonnet-4"]
    config["models"]["spare"] = {**model, "id": "claude-sonnet-4-5"}
    model["fallback"] = "spare"
    file.write_text(yaml.safe_dump(config))
    budgets = {"services": {PROMPT: {"budgets": {"service": {"day": 5}}}}}
    (configs / "llm" / "serving.yaml").write_text(yaml.safe_dump(budgets))
    use_prompts(prompts, configs, monkeypatch)
    monkeypatch.setattr(load_language_serving, "__defaults__", (configs,))
    with use_home(tmp_path / "home") as home:
        found = load_prompt(PROMPT)
        version = found.versions[1]
        folder = home.published_prompts(PROMPT)
        folder.mkdir(parents=True)
        write_whole({folder / name: text for name, text in write_published(version).items()})
        prepare_control(home).routes.swap(None, Route(PROMPT, 1, kind="prompt"))
        given = plan_version(found, version)
        store_evaluation(evaluate_version(given, found, 1, SILENT))
        yield home


def read_signal(home: Home) -> Any:
    return prepare_control(home).signals.list_since(PROMPT, SIGNAL, 0)[-1][1]


def answer_worse(asked: AskedRequest) -> FakeAnswer:
    """Answer as a model that was changed: a sentence in place of the label."""
    return FakeAnswer(text=f"It is about {answer_small(asked).text}.", input_tokens=50)


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
    def answer(asked: AskedRequest) -> FakeAnswer:
        is_spare = asked.body["model"] == "claude-sonnet-4-5"
        return answer_small(asked) if is_spare else answer_worse(asked)

    running.reset(answer)
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
