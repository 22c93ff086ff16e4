"""What must not change before, between and after evaluations, and results that cannot be read."""

import json
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.prompts import PublishedPrompt
from sluice.errors import PromptChanged, PromptInvalid
from sluice.home import Home
from sluice.prompts.chat import TokenUsage
from sluice.prompts.evaluation.record import EvaluationRecord
from sluice.prompts.evaluation.results import AnswerResult, CaseResult, PromptEvaluation
from sluice.prompts.folder import Prompt, load_prompt
from support.prompts import write_prompt, write_rows, write_version
from support.servers.images import add_registry_database
from tasks.prompts import version
from tasks.prompts.mirroring import list_turns
from tasks.prompts.version import (
    EvaluationReporter,
    VersionUnderRelease,
    check_evaluated,
    check_published,
    evaluate_version,
    read_evaluation,
)

SILENT = EvaluationReporter(lambda _words: None, lambda _prompt, _event, _payload: None)
CASES: list[dict[str, Any]] = [{"input": "Al"}, {"input": "Bea"}]


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with versions 1 and 2 of `greet`, of which nothing was published."""
    root, home = tmp_path / "prompts", Home(tmp_path / "home")
    home.root.mkdir()
    add_registry_database(home)
    write_prompt(root, CASES)
    write_version(root, version=2, max_tokens=60)
    monkeypatch.setattr(version, "find_home", lambda: home)
    return root


def give(found: Prompt, number: int = 2) -> VersionUnderRelease:
    identity = found.versions[number].identity
    return VersionUnderRelease(
        "greet", number, identity, found.eval_set.identity, "production", (), 1, "run"
    )


def test_the_active_version_is_compared_as_it_was_published(prompts: Path) -> None:
    active = load_prompt("greet", prompts).versions[1]
    open_registry(version.find_home()).publish_prompt(
        PublishedPrompt("greet", 1, active.identity, list_turns(active), {"max_tokens": 50}, {}, "")
    )
    check_published(load_prompt("greet", prompts), {1, 2})
    write_version(prompts, version=1, max_tokens=55)
    with pytest.raises(PromptChanged, match=f"greet v1 was published as {active.identity[:12]}"):
        check_published(load_prompt("greet", prompts), {1, 2})


def test_a_version_that_was_evaluated_is_compared_with_its_records(prompts: Path) -> None:
    found = load_prompt("greet", prompts)
    facts = {"eval_set": "e", "environment": "production", "model": "m", "outcome": "pass"}
    record = EvaluationRecord(
        prompt="greet", version=2, identity=found.versions[2].identity, criteria={},
        ended="2026-11-30T10:00:00Z", **facts,
    )  # fmt: skip
    folder = version.find_home().evaluations("greet")
    folder.mkdir(parents=True)
    (folder / "1.json").write_text(record.to_json())
    (folder / "2.json").write_text(record.to_json()[:-30])
    assert check_evaluated(found, {1, 2}) == {2}
    write_version(prompts, version=2, max_tokens=65)
    assert check_evaluated(load_prompt("greet", prompts), {1}) == set()
    with pytest.raises(PromptChanged, match="greet v2 was evaluated as"):
        check_evaluated(load_prompt("greet", prompts), {1, 2})


@pytest.mark.parametrize("number", [1, 2])
def test_cases_that_change_under_way_end_the_release(prompts: Path, number: int) -> None:
    given = give(load_prompt("greet", prompts))
    write_rows(prompts / "greet" / "eval_set.jsonl", [*CASES, {"input": "Cy"}])
    with pytest.raises(PromptChanged, match="changed while the release was under way, from"):
        evaluate_version(given, load_prompt("greet", prompts), number, SILENT)


def test_a_version_that_changes_under_way_ends_the_release(prompts: Path) -> None:
    given = give(load_prompt("greet", prompts))
    write_version(prompts, version=2, template="Greet {person}!")
    with pytest.raises(PromptChanged, match="greet v2 was checked as"):
        evaluate_version(given, load_prompt("greet", prompts), 2, SILENT)


def write_results(path: Path) -> dict[str, Any]:
    answer = AnswerResult("Hi", {"short": 1.0}, usage=TokenUsage(1, 2), cost=0.1)
    case = CaseResult("c1", "Al", (answer,))
    found = PromptEvaluation("greet", 2, "i", "e", "m", "production", (case,))
    path.write_text(found.to_json())
    assert read_evaluation(path) == found
    return json.loads(found.to_json())


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: "",
        lambda values: "[]",
        lambda values: json.dumps(values)[:-20],
        lambda values: json.dumps(values | {"cases": None}),
        lambda values: json.dumps(values | {"version": "two"}),
        lambda values: json.dumps(values | {"extra": 1}),
        lambda values: json.dumps({k: v for k, v in values.items() if k != "model"}),
        lambda values: json.dumps(values).replace('"short": 1.0', '"short": 1.5'),
        lambda values: json.dumps(values).replace('"short": 1.0', '"short": NaN'),
        lambda values: json.dumps(values).replace('"cost": 0.1', '"cost": "little"'),
        lambda values: json.dumps(values).replace('"input": 1', '"input": "one"'),
    ],
)
def test_damaged_results_are_no_results(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "v2.json"
    path.write_text(damage(write_results(path)))
    with pytest.raises(PromptInvalid, match=r"v2\.json: cannot be read; next: evaluate again"):
        read_evaluation(path)


def test_results_that_are_gone_are_named(tmp_path: Path) -> None:
    with pytest.raises(PromptInvalid, match=r"v2\.json: cannot be read; next: evaluate again"):
        read_evaluation(tmp_path / "v2.json")
