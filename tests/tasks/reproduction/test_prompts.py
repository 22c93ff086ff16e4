"""A prompt's evaluation is made again from kept answers, with the code of its commit."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice.home import Home
from support.llm.asking import KEY_VARIABLE
from support.llm.provider import KEY, run_provider
from support.prompts import answer_small, write_small_prompt, write_small_providers
from support.reproduction.project import commit_all, copy_project

pytestmark = pytest.mark.slow
CASES = 20
REPRODUCE = """
import json, sys
from prefect.logging import disable_run_logger
from tasks.reproduction.steps import open_workspace, reproduce_version
with disable_run_logger(), open_workspace() as folder:
    print(json.dumps(reproduce_version.fn("classify", 1, -1, folder).to_dict()))
"""
SECONDS = 300


@dataclass(frozen=True)
class PromptProject:
    """A project with one prompt, in a repository; the provider that answered is gone."""

    folder: Path
    home: Home

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        variables = {"PYTHONPATH": str(self.folder), "SLUICE_HOME": str(self.home.root)}
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**os.environ, **variables, KEY_VARIABLE: KEY},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def reproduce(self) -> dict[str, Any]:
        ended = self.run("-c", REPRODUCE)
        assert ended.returncode == 0, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return found

    @property
    def answers(self) -> Path:
        [found] = (self.home.evaluations("classify") / "answers").glob("v1-*-trial.json")
        return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> PromptProject:
    root = tmp_path_factory.mktemp("prompts")
    folder = copy_project(root / "sluice", ("sluice", "tasks", "cli"))
    found = PromptProject(folder, Home(root / "home"))
    found.home.root.mkdir()
    write_small_prompt(folder / "prompts", CASES)
    with run_provider(answer_small) as provider:
        write_small_providers(folder / "configs", provider.url)
        commit_all(folder)
        ended = found.run("-m", "cli", "prompt", "evaluate", "classify", "1")
        assert ended.returncode in (0, 1), ended.stdout + ended.stderr
        assert found.answers.exists()
    return found


def test_kept_answers_give_the_same_scores_without_a_provider(project: PromptProject) -> None:
    found = project.reproduce()
    assert found["outcome"] == "identical", found
    facts = {item["name"]: item for item in found["facts"]}
    assert facts["answers"]["n"] == facts["scores"]["n"] == CASES
    assert facts["evaluation set"]["is_same"]


def test_a_score_that_was_edited_is_named(project: PromptProject) -> None:
    place = project.answers
    before = place.read_text(encoding="utf-8")
    values = json.loads(before)
    values["cases"][3]["answers"][0]["scores"]["label"] = 0.5
    place.write_text(json.dumps(values), encoding="utf-8")
    try:
        found = project.reproduce()
    finally:
        place.write_text(before, encoding="utf-8")
    assert found["result"] == (
        "the first that differs is scores: recorded label = 0.5 in number 4, now 1.0 "
        f"(1 of {CASES} differ)"
    )


def test_an_answer_that_is_not_kept_is_named(project: PromptProject) -> None:
    first = next(project.home.replies.rglob("*.json"))
    hidden = first.with_suffix(".hidden")
    first.rename(hidden)
    try:
        ended = project.run("-c", REPRODUCE)
    finally:
        hidden.rename(first)
    assert "NotReproducible: classify v1: 1 replies are not kept any more" in ended.stderr
    assert "next: sluice prompt publish classify 1" in ended.stderr
