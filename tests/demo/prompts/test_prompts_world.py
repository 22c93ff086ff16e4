"""The world of the demonstration of prompts: what is in it, and what it was cut from."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from cli.runs import RunResult
from cli.stack import PROMPT_FAULTS
from demo.prompts import play
from demo.prompts.live.world import FIRST, REPLY
from demo.prompts.play import conclude
from demo.prompts.stories import BAD, CLEAN, GOOD, MODEL, PROMPT, STORIES
from demo.prompts.world import OF_A_LABEL, edit_version, write_configs, write_prompts
from sluice import errors
from sluice.home import PROMPTS
from sluice.prompts.cases import EVAL_SET, read_eval_set
from sluice.prompts.folder import load_active, load_prompt

MOST_CASES = 60


def test_the_cases_are_the_first_of_each_label_of_the_shipped_set(tmp_path: Path) -> None:
    found = load_prompt(PROMPT, write_prompts(tmp_path, CLEAN))
    shipped = read_eval_set(PROMPTS / PROMPT / EVAL_SET).cases
    assert len(found.eval_set.cases) == MOST_CASES
    counts = Counter(case.expected for case in found.eval_set.cases)
    assert set(counts.values()) == {OF_A_LABEL}
    for label in counts:
        first = [case for case in shipped if case.expected == label][:OF_A_LABEL]
        assert [case for case in found.eval_set.cases if case.expected == label] == first
    assert found.bias_set is None
    assert load_active(tmp_path).development == {PROMPT: GOOD, REPLY: FIRST}


def test_versions_and_limits_are_the_shipped_ones(tmp_path: Path) -> None:
    found, shipped = load_prompt(PROMPT, write_prompts(tmp_path, CLEAN)), load_prompt(PROMPT)
    assert set(found.versions) == {GOOD, BAD}
    assert all(found.versions[number] == shipped.versions[number] for number in (GOOD, BAD))
    assert found.limits == shipped.limits


def test_the_versions_differ_in_the_examples_alone() -> None:
    good, bad = (load_prompt(PROMPT).versions[number] for number in (GOOD, BAD))
    assert good.model == bad.model == MODEL
    assert good.temperature == 0.0
    assert good.examples
    assert good.model_copy(update={"examples": (), "version": BAD}) == bad


def test_no_example_is_a_case() -> None:
    found = load_prompt(PROMPT)
    asked = {str(case.input) for case in found.eval_set.cases}
    assert not asked & {str(one.input) for one in found.versions[GOOD].examples}


def test_a_budget_is_planted_in_the_story_of_the_budget_alone(tmp_path: Path) -> None:
    for story in STORIES:
        root = write_prompts(tmp_path / story / "prompts", story)
        folder = write_configs(tmp_path / story / "configs", story)
        spend = load_prompt(PROMPT, root).limits.gates_of("development").spend
        values = yaml.safe_load((folder / "llm" / "providers.yaml").read_text())
        is_free = not any(values["models"][MODEL]["price"].values())
        assert (spend == 5.0) is is_free is (story != "budget")


def test_an_edit_changes_what_the_version_is(tmp_path: Path) -> None:
    root = write_prompts(tmp_path, "edited")
    before = load_prompt(PROMPT, root).versions[GOOD].identity
    edit_version(root, GOOD)
    assert load_prompt(PROMPT, root).versions[GOOD].identity != before


def test_the_command_line_knows_the_planted_faults() -> None:
    assert set(PROMPT_FAULTS) == set(STORIES) - {CLEAN}
    assert all(hasattr(errors, story.caught_by) for story in STORIES.values())


@pytest.mark.parametrize(
    ("result", "serves", "is_caught"),
    [
        (RunResult(1, "PromptRegressed", "format_valid .000"), GOOD, True),
        (RunResult(1, "PromptRegressed", "format_valid .000"), BAD, False),
        (RunResult(1, "EvidenceInsufficient", "cases"), GOOD, False),
        (RunResult(0), GOOD, False),
    ],
)
def test_only_the_finding_that_was_meant_is_success(
    result: RunResult,
    serves: int,
    is_caught: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(play, "find_serving", lambda: serves)
    assert conclude(STORIES[CLEAN], result, GOOD) is is_caught
    assert ("NOT caught" in capsys.readouterr().out) is not is_caught
