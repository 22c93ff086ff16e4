"""The estimate of a version, from its files and the replies that are kept; nothing is asked."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.llm.reply_cache import ReplyCache, find_revision
from sluice.config.llm.providers import ProvidersConfig
from sluice.errors import ConfigInvalid
from sluice.home import Home
from sluice.prompts.calls.pricing import find_price
from sluice.prompts.chat import ChatReply, TokenUsage
from sluice.prompts.folder import Prompt, load_prompt
from sluice.prompts.rendering import render_request
from support.prompts import write_prompt, write_rows, write_version
from tasks.prompts import estimating, judging
from tasks.prompts.estimating import CallPlanner, announce_estimate, estimate_version
from tasks.prompts.version import VersionUnderRelease

PROVIDERS: dict[str, Any] = {
    "providers": {
        "near": {"kind": "anthropic", "url": "http://127.0.0.1:9", "concurrency": 2},
        "cheap": {"kind": "openai", "url": "http://127.0.0.1:9", "key": None},
    },
    "models": {
        "claude-sonnet-4": {
            "provider": "near",
            "id": "claude-haiku-4-5",
            "context": 4000,
            "max_tokens": 1000,
            "price": {"input": 1, "output": 2},
        },
        "grader": {
            "provider": "cheap",
            "id": "g",
            "context": 4000,
            "max_tokens": 1000,
            "price": {"input": 0, "output": 0},
        },
    },
    "environments": {"production": {"refused": {"claude-sonnet-4": "it is a test"}}},
}
GROUPS = {"woman": {"person": "Emily"}, "man": {"person": "Greg"}}
JUDGE = """\
name: kind
version: 1
model: grader
temperature: 0
max_tokens: 5
template: "Is it kind? {answer}"
eval_criteria: [{name: grade, type: label, expected: [bad, good]}]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A state folder, beside a prompt of two versions, three cases and a bias set."""
    root = tmp_path / "prompts"
    folder = write_prompt(root, [{"input": "Al"}, {"input": "Bea"}, {"input": "Cy"}])
    write_version(root, version=2, template="Say hello to {person}.", repeats=2)
    row = {"attribute": "gender", "input": {"person": "{person}"}, "groups": GROUPS}
    write_rows(folder / "bias_set.jsonl", [row])
    monkeypatch.setattr(estimating, "PROMPTS", root)
    config = ProvidersConfig.model_validate(PROVIDERS)
    for module in (estimating, judging):
        monkeypatch.setattr(module, "load_providers", lambda: config)
    return Home(tmp_path / "home")


def prompt_of(home: Home) -> Prompt:
    return load_prompt("greet", home.root.parent / "prompts")


def keep(home: Home, version: int, cases: int) -> None:
    """Keep replies to a version's first cases."""
    found, planner = prompt_of(home), CallPlanner(home, "development")
    usage, choice = TokenUsage(20, 5), planner.choose("claude-sonnet-4")
    for case in found.eval_set.cases[:cases]:
        request = render_request(found.versions[version], case.input)
        reply = ChatReply("Hi", "m", "near", usage, "stop", 3.0)
        ReplyCache(home.replies).store(request, 0, find_revision(choice), reply)


def test_every_call_of_both_versions_and_of_the_bias_set_is_planned(home: Home) -> None:
    found = estimate_version(prompt_of(home), 2, 1, home, "development")
    counts = {part.name: (len(part.calls), part.kept) for part in found.parts}
    assert counts == {"v2": (6, 0), "v1, which serves": (3, 0), "bias set": (2, 0)}
    assert found.spend == 5.0
    assert not home.replies.exists()


def test_the_largest_cost_is_what_the_calls_would_reserve(home: Home) -> None:
    found, planner = prompt_of(home), CallPlanner(home, "development")
    price = find_price(planner.choose("claude-sonnet-4"))
    requests = [render_request(found.versions[2], case.input) for case in found.eval_set.cases]
    bounds = [price.bound(request) or 0.0 for request in requests]
    first = estimate_version(prompt_of(home), 2, None, home, "development").parts[0]
    assert first.most_cost == pytest.approx(2 * sum(bounds))


def test_kept_replies_are_found_and_tell_the_time(home: Home) -> None:
    keep(home, 1, cases=3)
    found = estimate_version(prompt_of(home), 2, 1, home, "development")
    new, serves, _ = found.parts
    assert (serves.kept, serves.most_cost) == (3, 0.0)
    pace = found.find_pace("claude-sonnet-4")
    assert pace is not None
    assert new.guess_seconds(pace) == pytest.approx(6 * 3.0 / 2)


def test_a_version_beside_itself_is_counted_once(home: Home) -> None:
    found = estimate_version(prompt_of(home), 1, 1, home, "development")
    assert [part.name for part in found.parts] == ["v1", "bias set"]


def test_a_judge_is_asked_about_each_answer(home: Home) -> None:
    root = home.root.parent / "prompts"
    folder = root / "judges" / "kind"
    folder.mkdir(parents=True)
    (folder / "v1.yaml").write_text(JUDGE)
    (folder / "judge.yaml").write_text(
        "version: 1\ngrades: {bad: 0, good: 1}\nsource: a test of it"
    )
    label = {"input": "x", "answer": "y", "grade": "good"}
    (folder / "labels.jsonl").write_text(json.dumps(label))
    criteria = [{"name": "kind", "type": "llm_judge", "threshold": 0.8}]
    write_version(root, version=3, eval_criteria=criteria)
    found = estimate_version(prompt_of(home), 3, None, home, "development")
    judge = next(part for part in found.parts if part.name == "v3: kind")
    assert (judge.model, len(judge.calls), judge.most_cost) == ("grader", 3, 0.0)


def test_a_model_that_may_not_answer_is_refused_before_anything_is_planned(home: Home) -> None:
    with pytest.raises(ConfigInvalid, match="may not answer in production: it is a test"):
        estimate_version(prompt_of(home), 2, 1, home, "production")


def test_a_model_that_retires_soon_is_told_before_anything_is_asked(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, said = datetime.now(UTC).date() + timedelta(days=30), list[str]()
    model = {**PROVIDERS["models"]["claude-sonnet-4"], "retires": day}
    values = {**PROVIDERS, "models": {**PROVIDERS["models"], "claude-sonnet-4": model}}
    monkeypatch.setattr(
        estimating, "load_providers", lambda: ProvidersConfig.model_validate(values)
    )
    monkeypatch.setenv("SLUICE_HOME", str(home.root))
    given = VersionUnderRelease("greet", 1, "", "", "development", ())
    announce_estimate(given, prompt_of(home), said.append)
    assert said[0].startswith(f"model 'claude-sonnet-4' retires on {day}, in 30 days; it has no ")
    assert said[1].startswith("greet v1: ")
