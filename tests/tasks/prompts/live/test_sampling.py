"""A sample of answers is judged off the callers' way; an unproved judge is not even asked."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sluice.adapters.control.store import prepare_control
from sluice.adapters.jsonl_file import read_rows
from sluice.adapters.storage import write_whole
from sluice.adapters.traffic.calls import find_place
from sluice.config.llm.monitoring import WatchedPrompt
from sluice.config.llm.serving import BudgetsConfig, PromptMonitoringConfig, SamplingConfig
from sluice.control.route import Route
from sluice.control.spending import Account
from sluice.monitoring.signals import Signal
from sluice.prompts.folder import load_prompt
from sluice.prompts.live.samples import JudgedSample, keep_recent, list_sample_signals
from sluice.prompts.published import write_published
from support.llm.answers import FakeAnswer
from support.llm.judged import JudgedPrompt, PlannedJudge, make_judged
from support.llm.provider import FakeProvider, run_provider
from support.monitoring import MINUTE, NOON
from support.traffic import TrafficWriter
from tasks.prompts.live import sampling
from tasks.prompts.live.sampling import judge_samples

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def running() -> Iterator[FakeProvider]:
    with run_provider() as found:
        yield found


@pytest.fixture
def judged(running: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JudgedPrompt:
    """The prompt `greet` serves; every one of its answers is sampled."""
    running.reset(PlannedJudge(errs=lambda number: FakeAnswer("bad") if number < 30 else None))
    made = make_judged(running, tmp_path, monkeypatch)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setattr(sampling, "PROMPTS", made.root)
    sample(monkeypatch)
    version, folder = (
        load_prompt("greet", made.root).versions[1],
        made.home.published_prompts("greet"),
    )
    folder.mkdir(parents=True)
    write_whole({folder / name: text for name, text in write_published(version).items()})
    prepare_control(made.home).routes.swap(None, Route("greet", 1, kind="prompt"))
    return made


def sample(monkeypatch: pytest.MonkeyPatch, **changes: float) -> None:
    config = SamplingConfig.model_validate({"share": 1.0, **changes})
    watched = WatchedPrompt("greet", PromptMonitoringConfig(sampling=config), BudgetsConfig())
    monkeypatch.setattr(sampling, "load_watched", lambda _name: watched)


def answer(
    judged: JudgedPrompt, count: int = 60, context: tuple[str, ...] = (), replica: str = "a"
) -> None:
    """Log answers `Hello N` within the hour before noon."""
    traffic = TrafficWriter(judged.home, replica)
    traffic.write(
        [
            traffic.make(
                NOON - 30 * MINUTE,
                number,
                service="greet",
                version=1,
                inputs=json.dumps({"variables": {"person": "Ed"}, "context": context}).encode(),
                outputs=json.dumps({"text": f"Hello {number}"}).encode(),
            )
            for number in range(count)
        ]
    )


def read_signals(judged: JudgedPrompt, name: str) -> list[Signal]:
    found = prepare_control(judged.home).signals.list_since("greet", name, 0)
    return [signal for _, signal in found]


def test_a_proved_judge_grades_each_sampled_answer_once(judged: JudgedPrompt) -> None:
    judged.prove("development")
    answer(judged)
    asked = len(judged.provider.asked)
    assert judge_samples("greet", NOON) == 60
    assert len(judged.provider.asked) - asked == 60
    (found,) = read_signals(judged, "judge-score")
    assert (found.value, found.n, found.version) == (0.5, 60, 1)
    assert judge_samples("greet", NOON + MINUTE) == 0
    assert len(judged.provider.asked) - asked == 60


def test_a_judge_without_proof_is_not_asked_and_decides_nothing(judged: JudgedPrompt) -> None:
    answer(judged, context=("Hello 3 to 40 of you",))
    assert judge_samples("greet", NOON) == 60
    assert judged.provider.asked == []
    (found,) = read_signals(judged, "judge-score")
    assert found.value is None
    assert "has no proof of its agreement with people" in found.reason
    (grounded,) = read_signals(judged, "grounding")
    assert (grounded.value, grounded.n) == (pytest.approx(2 / 60), 60)


def test_judges_stay_within_the_money_of_the_day(
    judged: JudgedPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged.prove("development")
    sample(monkeypatch, spend=0.002)
    answer(judged)
    assert judge_samples("greet", NOON) == 60
    spent = prepare_control(judged.home).spending.find(
        Account("run", "judging-greet", f"{NOON:%Y-%m-%d}")
    )
    assert 0 < spent.spent <= 2_000_000
    rows = read_rows(judged.home.samples("greet"), JudgedSample)
    assert any(item.problem == "polite: BudgetExceeded" for item in rows)


def test_the_sample_of_a_day_has_a_largest_size(
    judged: JudgedPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample(monkeypatch, answers=10)
    answer(judged)
    assert judge_samples("greet", NOON) == 10
    answer(judged, replica="b")
    assert judge_samples("greet", NOON + MINUTE) == 0


def test_whether_a_request_is_sampled_follows_from_its_id() -> None:
    places = [find_place(f"r{number}") for number in range(2000)]
    assert 0.03 < sum(place < 0.05 for place in places) / 2000 < 0.07
    assert find_place("r7") == places[7]


def test_figures_are_of_the_version_that_serves_and_of_a_day() -> None:
    noon = NOON.timestamp()
    given = [
        JudgedSample(request_id="a", at=noon - 60, version=2, scores={"x": 1.0, "y": 0.0}),
        JudgedSample(request_id="b", at=noon - 60, version=1, scores={"x": 0.0}),
        JudgedSample(request_id="c", at=noon - 90_000, version=2, scores={"x": 0.0}),
        JudgedSample(request_id="d", at=noon - 9 * 86_400, version=2, scores={"x": 0.0}),
    ]
    kept = keep_recent(given, NOON)
    assert [item.request_id for item in kept] == ["c", "a", "b"]
    judge, grounding = list_sample_signals("greet", 2, kept, "", NOON)
    assert (judge.value, judge.n) == (0.5, 1)
    assert grounding.reason == "no sampled answer of the day has a source"
