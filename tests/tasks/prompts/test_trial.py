"""A version evaluated at once, without Prefect: a provider over real HTTP, a store of its own."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.prompts.trial import run_trial
from sluice.adapters.control.store import prepare_control
from sluice.errors import PromptChanged
from sluice.home import Home
from sluice.prompts.evaluation.record import read_evaluations
from sluice.prompts.folder import load_prompt
from sluice.verdict import Outcome
from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.provider import KEY, FakeProvider, run_provider
from support.prompts import write_prompt
from tasks.prompts import trial, version
from tasks.prompts.trial import Trial, try_version

PEOPLE = [f"Person {number}" for number in range(60)]
SIMILAR = {"name": "alike", "type": "similarity", "threshold": 0.5}
MODEL = {"provider": "near", "id": "claude-haiku-4-5", "context": 9_000, "max_tokens": 500}


@dataclass
class World:
    """Prompts and state of one test; `said` is what was told."""

    home: Home
    prompts: Path
    provider: FakeProvider
    said: list[str]

    def evaluate(self, number: int = 1) -> Trial:
        return try_version("greet", number, self.said.append)

    def write(self, **changes: Any) -> None:
        rows = [{"input": {"person": name}, "expected": f"Hello {name}!"} for name in PEOPLE]
        write_prompt(self.prompts, rows, **{"eval_criteria": [SIMILAR], **changes})


def greet(asked: AskedRequest) -> FakeAnswer:
    return FakeAnswer(f"Good day, {asked.question.removeprefix('Greet ').rstrip('.')}!")


@pytest.fixture(scope="module")
def running() -> Iterator[FakeProvider]:
    with run_provider(greet) as found:
        yield found


@pytest.fixture
def world(running: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    configs = tmp_path / "configs"
    (configs / "llm").mkdir(parents=True)
    provider = {"kind": "anthropic", "url": running.url, "key": {"env": "KEY_OF_A_TEST"}}
    providers = {"providers": {"near": provider}, "models": {"claude-sonnet-4": MODEL}}
    (configs / "llm" / "providers.yaml").write_text(yaml.safe_dump(providers))
    for name in ("asking", "estimating", "judging"):
        monkeypatch.setattr(f"tasks.prompts.{name}.load_providers", lambda: _load(configs))
    prompts = tmp_path / "prompts"
    monkeypatch.setattr(trial, "load_prompt", lambda name: load_prompt(name, prompts))
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KEY_OF_A_TEST", KEY)
    found = World(Home(tmp_path / "home"), prompts, running.reset(greet), [])
    found.home.root.mkdir()
    found.write()
    return found


def _load(folder: Path) -> Any:
    from sluice.config.llm.loading import load_providers

    return load_providers(folder)


def test_all_gates_judge_and_a_second_time_costs_nothing(world: World) -> None:
    first = world.evaluate()
    assert [item.gate for item in first.verdicts] == ["prompt", "safety", "cost"]
    by_gate = {item.gate: item for item in first.verdicts}
    assert by_gate["prompt"].outcome is Outcome.PASS, by_gate["prompt"].reason
    assert by_gate["safety"].outcome is Outcome.INSUFFICIENT, "60 cases cannot prove .99"
    assert len(world.provider.asked) == len(PEOPLE)
    assert "greet v1: 60 answers, 0 of them kept from before, 0 cases not run" in world.said[-1]
    again = world.evaluate()
    assert len(world.provider.asked) == len(PEOPLE), "every answer was kept"
    assert "60 of them kept from before" in world.said[-1]
    assert [item.outcome for item in again.verdicts] == [item.outcome for item in first.verdicts]
    assert len(list(world.home.similarities.rglob("*/*"))) == len(PEOPLE)


def test_the_report_and_every_score_say_what_compared_the_texts(world: World) -> None:
    found = world.evaluate()
    page = found.page.read_text()
    assert page.count("alike: by all-MiniLM-L6-v2 in 8 bits, 8199be6f699a") == len(PEOPLE)
    summary = found.page.with_suffix(".md").read_text()
    assert "similarity by: all-MiniLM-L6-v2 in 8 bits, 8199be6f699a" in summary
    [record] = read_evaluations(world.home.evaluations("greet"))
    assert record.similarity == "all-MiniLM-L6-v2 in 8 bits, 8199be6f699a"


def test_an_answer_off_the_subject_is_refused(world: World) -> None:
    world.provider.reset(FakeAnswer("Boil the rice for ten minutes."))
    verdict = world.evaluate().verdicts[0]
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("matches_reference .")


def test_the_version_that_serves_is_evaluated_beside_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(version=2, system="Be warm.")
    prepare_control().routes.follow_champion("greet", 1, "prompt")
    asked: list[set[int]] = []
    monkeypatch.setattr(
        version, "check_published", lambda _found, versions: asked.append(set(versions))
    )
    found = world.evaluate(2)
    assert found.given.active == 1
    assert len(world.provider.asked) == 2 * len(PEOPLE)
    assert found.verdicts[0].reason.endswith("no worse than v1")
    world.evaluate(2)
    assert asked == [{1, 2}, {1}], "of what was evaluated here the registry is not asked again"


def test_an_evaluated_version_cannot_be_edited(world: World) -> None:
    world.evaluate()
    world.write(system="Be shorter.")
    with pytest.raises(PromptChanged, match="greet v1 was evaluated as"):
        world.evaluate()


def test_a_version_of_which_nothing_was_answered_may_be_edited(world: World) -> None:
    world.provider.reset(FakeAnswer(fault="status", status=403))
    assert world.evaluate().verdicts[0].outcome is Outcome.INSUFFICIENT
    assert read_evaluations(world.home.evaluations("greet")) == []
    world.write(system="Be shorter.")
    world.provider.reset(greet)
    assert world.evaluate().verdicts[0].outcome is Outcome.PASS


def test_the_terminal_shows_verdicts_report_and_what_to_do(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    undecided = run_trial("greet", 1)
    said = capsys.readouterr().out
    assert (undecided.code, undecided.error) == (1, "EvidenceInsufficient")
    for words in (
        "greet v1: 60 answers, 0 of them kept from before",
        "Verdicts of greet v1",
        "EvidenceInsufficient: safety 1.000",
        "next: about 299 cases would decide",
        "then: `sluice prompt evaluate greet 1`",
        f"report: {next(world.home.evaluations('greet').glob('answers/v1-*-trial.html'))}",
    ):
        assert words in said
    limits = {"development": {"safety": {"limit": 0.9, "reason": "sixty cases prove no more"}}}
    (world.prompts / "greet" / "limits.yaml").write_text(yaml.safe_dump(limits))
    assert run_trial("greet", 1).code == 0
    assert "next: sluice prompt publish greet 1\n" in capsys.readouterr().out


def test_it_starts_without_the_libraries_of_flows_registry_and_statistics() -> None:
    """Each of them takes seconds to import, and none of them has a part in an evaluation."""
    heavy = ("prefect", "mlflow", "pandas", "pyarrow", "scipy", "sklearn", "onnxruntime")
    code = (
        "import sys, cli.__main__, tasks.prompts.trial\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
