"""Prompts through their gates: a real server and registry, a provider over real HTTP."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import open_registry
from sluice.home import CONFIGS, PROMPTS, Home
from sluice.prompts.cases import read_eval_set
from support.llm.answers import Answering, AskedRequest, FakeAnswer
from support.llm.provider import KEY, FakeProvider, run_provider
from support.releases.runs import run_sluice
from support.servers.images import add_registry_database

PAIRS = 100
"""Cases of the bias set, of 400: enough for the planted direction, and answered sooner."""
pytestmark = pytest.mark.slow
MODELS = {"context": 100_000, "max_tokens": 4_000}
TICKET = re.compile(r"(?:Ticket: )?(.*?)(?:\n\nLabel:)?$", re.DOTALL)


@dataclass(frozen=True)
class World:
    """A state folder with prompts and configuration of its own, and a provider."""

    home: Home
    prompts: Path
    provider: FakeProvider
    variables: dict[str, str]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return run_sluice("prompt", *words, home=self.home.root, **self.variables)

    def write(self, version: int, **changes: Any) -> None:
        """Write a version like the first one, with some keys changed."""
        folder = self.prompts / "classify"
        values = yaml.safe_load((folder / "v1.yaml").read_text())
        values |= {"version": version, **changes}
        (folder / f"v{version}.yaml").write_text(yaml.safe_dump(values))

    @contextmanager
    def answering(self, function: Answering) -> Iterator[None]:
        """Answer by another function while the block runs."""
        before, self.provider.answer = self.provider.answer, function
        yield
        self.provider.answer = before

    @property
    def active(self) -> int | None:
        route = open_control(self.home).routes.find("classify")
        return route.champion if route else None


def answer(asked: AskedRequest) -> FakeAnswer:
    """Give each ticket of the evaluation set its label; explain it where the prompt asks for it."""
    found = TICKET.match(asked.question)
    ticket = found[1] if found else ""
    label = LABELS.get(ticket) or next(
        (label for text, label in LABELS.items() if text in ticket), "technical"
    )
    system = json.dumps(asked.body.get("system", "")) + json.dumps(asked.body["messages"][0])
    if "explain your choice" in system:
        return FakeAnswer(text=f"This is a question of {label}, we are happy to help.")
    return FakeAnswer(text=label, input_tokens=150, output_tokens=2)


LABELS = {
    case.input["ticket"]: case.expected or ""
    for case in read_eval_set(PROMPTS / "classify" / "eval_set.jsonl").cases
    if isinstance(case.input, dict)
}


@pytest.fixture(scope="module")
def world(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("prompts")
    home = Home(folder / "home")
    home.root.mkdir()
    add_registry_database(home)
    copytree(CONFIGS, folder / "configs")
    copytree(PROMPTS, folder / "prompts")
    # The test's code may be uncommitted, and no service of advisories answers here.
    (folder / "configs" / "security" / "production.yaml").write_text(
        "clean_tree: notice\non_insufficient: notice\nadvisories: {lookup: command}\n"
    )
    bias_set = folder / "prompts" / "classify" / "bias_set.jsonl"
    bias_set.write_text("".join(bias_set.read_text().splitlines(keepends=True)[:PAIRS]))
    shared = {"key": {"env": "KEY_OF_A_TEST"}}
    with run_provider(answer) as provider:
        providers: dict[str, Any] = {
            "providers": {"near": {"kind": "anthropic", "url": provider.url, **shared}},
            "models": {"claude-sonnet-4": {"provider": "near", "id": "claude-haiku-4-5", **MODELS}},
        }
        (folder / "configs" / "llm" / "providers.yaml").write_text(yaml.safe_dump(providers))
        variables = {
            "SLUICE_CONFIGS": str(folder / "configs"),
            "SLUICE_PROMPTS": str(folder / "prompts"),
            "SLUICE_ENV": "production",
            "KEY_OF_A_TEST": KEY,
        }
        yield World(home, folder / "prompts", provider, variables)


def test_a_good_version_is_published_active_and_costs_nothing_again(world: World) -> None:
    ended = world.run("publish", "classify", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert world.active == 1
    published = open_registry(world.home).list_published("classify")
    assert set(published) == {1}
    asked = len(world.provider.asked)
    assert asked == len(LABELS) + 4 * PAIRS
    page = next((world.home.evaluations("classify") / "answers").glob("v1-*.html"))
    assert f"report: {page}" in ended.stdout
    calls = len(LABELS) + 4 * PAIRS
    assert f"classify v1: {calls} calls, 0 of them kept from before" in ended.stdout
    assert "bias set: asked only of a version that passed the gates before it" in ended.stdout
    row = next(line.split() for line in ended.stdout.splitlines() if line.startswith("  v1 "))
    assert row[1:6] == ["1.000", "1.000", "1.000", "150", "2.0"], "scores and tokens"
    assert "<script" not in page.read_text()
    again = world.run("publish", "classify", "1")
    assert again.returncode == 0, again.stdout
    assert f"classify v1: {calls} calls, {calls} of them kept from before" in again.stdout
    assert len(world.provider.asked) == asked, "every answer was kept"
    assert open_registry(world.home).list_published("classify") == published


def test_a_bad_version_is_refused_and_changes_nothing(world: World) -> None:
    ended = world.run("publish", "classify", "3")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert (
        "PromptRegressed: format_valid .000 [.000, .010], limit > .950, n 310 cases" in ended.stdout
    )
    assert "next: " in ended.stdout
    assert "then: `sluice prompt publish classify 3`" in ended.stdout
    assert world.active == 1
    assert set(open_registry(world.home).list_published("classify")) == {1}
    page = next((world.home.evaluations("classify") / "answers").glob("v3-*.html")).read_text()
    assert "refused" in page
    assert "we are happy to help" in page
    asked = world.provider.asked[-1].question
    assert "Kind regards" not in asked, "after a refusal nobody pays for the bias set"


def test_a_version_that_leaks_is_stopped_by_the_safety_gate(world: World) -> None:
    def leak(asked: AskedRequest) -> FakeAnswer:
        return FakeAnswer(text="billing, write to jo.smith@example.org")

    names_a_team = [{"name": "team", "type": "regex", "expected": "billing"}]
    world.write(4, system="You sort tickets; version four.", eval_criteria=names_a_team)
    with world.answering(leak):
        ended = world.run("publish", "classify", "4")
    assert ended.returncode == 1
    assert "CandidateUnsafe: safety .000 [.000, .010], limit > .990, n 310 cases" in ended.stdout
    assert world.active == 1


def test_a_version_that_was_evaluated_cannot_be_edited(world: World) -> None:
    world.write(5, system="You sort tickets; version five.")
    assert world.run("evaluate", "classify", "5").returncode == 0
    assert world.active == 1, "evaluating publishes nothing"
    world.write(5, system="You sort tickets; version five, edited.")
    ended = world.run("publish", "classify", "5")
    assert ended.returncode == 2, ended.stdout
    assert "PromptChanged: classify v5 was evaluated as" in ended.stdout
    assert "sluice prompt new classify --from 5" in ended.stdout


def test_a_version_that_costs_twice_as_much_is_stopped(world: World) -> None:
    def dear(asked: AskedRequest) -> FakeAnswer:
        found = answer(asked)
        return FakeAnswer(text=found.text, input_tokens=900, output_tokens=2)

    world.write(6, system="You sort tickets; version six.")
    with world.answering(dear):
        ended = world.run("publish", "classify", "6")
    assert ended.returncode == 1, ended.stdout
    assert "CostExceeded: a case uses " in ended.stdout
    assert world.active == 1


def test_a_provider_that_fails_leaves_nothing_decided(world: World) -> None:
    def fail(asked: AskedRequest) -> FakeAnswer:
        return FakeAnswer(fault="garbage") if asked.number % 40 == 0 else answer(asked)

    world.write(7, system="You sort tickets; version seven.")
    with world.answering(fail):
        ended = world.run("publish", "classify", "7")
    assert ended.returncode == 1, ended.stdout
    assert "EvidenceInsufficient" in ended.stdout
    assert "not run, 0 allowed: line " in ended.stdout
    after = world.run("evaluate", "classify", "7")
    assert after.returncode == 0, after.stdout


def test_a_budget_ends_an_evaluation_by_name(world: World) -> None:
    world.write(8, system="You sort tickets; version eight.")
    limits = world.prompts / "classify" / "limits.yaml"
    before = limits.read_text()
    limits.write_text(
        before + "gates:\n  production: {spend: 0.01, reason: a test of the budget}\n"
    )
    ended = world.run("publish", "classify", "8")
    limits.write_text(before)
    assert ended.returncode == 1, ended.stdout
    assert "budget of run classify-v8-" in ended.stdout
    assert world.active == 1


def test_a_direction_between_groups_is_stopped(world: World) -> None:
    def prefer(asked: AskedRequest) -> FakeAnswer:
        is_signed = re.search(r"Aisha|Latonya|Ebony|Keisha|Tamika|Lakisha|Kenya", asked.question)
        return FakeAnswer(text="account" if is_signed else answer(asked).text)

    world.write(9, system="You sort tickets; version nine.")
    with world.answering(prefer):
        ended = world.run("publish", "classify", "9")
    assert ended.returncode == 1, ended.stdout
    assert "BiasFound: gender_and_origin: share of 'account'" in ended.stdout
    assert world.active == 1


def test_what_cannot_be_is_refused_before_anything_starts(world: World) -> None:
    for words, error in (
        (("publish", "classify", "77"), "found no version 77; allowed: 1, 2, 3"),
        (("publish", "nothing", "1"), "found no prompt 'nothing'; allowed: classify, summarize"),
    ):
        ended = world.run(*words)
        assert ended.returncode == 2, ended.stdout
        assert error in ended.stdout
