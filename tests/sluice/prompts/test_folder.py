"""A prompt's folder as a whole: limits, active versions, files that do not belong there."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from sluice.errors import PromptInvalid
from sluice.guardrails.inspection import inspect_text
from sluice.home import PROJECT
from sluice.prompts.cases import list_criteria
from sluice.prompts.criterion import Criterion
from sluice.prompts.folder import load_active, load_prompt, load_version
from sluice.prompts.limits import LimitsFile, find_limit
from sluice.prompts.listing import list_prompts
from support.prompts import write_prompt, write_version

CASES = Path(__file__).parents[2] / "cases" / "prompts"
STATED = {"limit": 0.7, "reason": "told by the team"}
JUDGED = {"name": "relevance", "type": "llm_judge"}


def test_the_active_versions_of_the_example_are_valid_as_they_stand(tmp_path: Path) -> None:
    shutil.copy(CASES / "config.yaml", tmp_path)
    for name, numbers in (("summarize", (1, 2)), ("classify", (1,))):
        (tmp_path / name).mkdir()
        for number in numbers:
            (tmp_path / name / f"v{number}.yaml").touch()
    active = load_active(tmp_path)
    assert active.of("development") == {"summarize": 2, "classify": 1}
    assert active.of("production") == {"summarize": 1, "classify": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("staging: {greet: 1}", ":1: staging: unknown key; allowed: development, production"),
        ("production:\n  gret: 1", ":2: production.gret: found no such prompt; allowed: greet"),
        ("production:\n  greet: 4", ":2: production.greet: found version 4; allowed: 1"),
        ("production: {greet: v1}", ":1: production.greet: Input should be a valid integer"),
    ],
)
def test_wrong_active_versions_are_refused(tmp_path: Path, text: str, words: str) -> None:
    write_version(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(PromptInvalid) as caught:
        load_active(tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("production: {short: {limit: 0.9}}", "production.short.reason: Field required"),
        ("production: {short: {limit: 95, reason: because so}}", "limit: Input should be less"),
        ("test: {}", "allowed: development, gates, production"),
        (
            "production: {shrt: {limit: 0.9, reason: because so}}",
            "production.shrt: no criterion or check has this name; allowed: format_valid, safety,",
        ),
    ],
)
def test_wrong_limits_are_refused(tmp_path: Path, text: str, words: str) -> None:
    folder = write_prompt(tmp_path, [{"input": "a"}])
    (folder / "limits.yaml").write_text(text)
    with pytest.raises(PromptInvalid) as caught:
        load_prompt("greet", tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", ["llm_judge", "similarity", "grounding", "exact", "contains"])
def test_a_criterion_without_a_threshold_is_refused_where_its_type_needs_one(
    tmp_path: Path, kind: str
) -> None:
    criterion = {"name": "good", "type": kind, **({"expected": "a"} if kind == "contains" else {})}
    folder = write_prompt(tmp_path, [{"input": "a", "expected": "b"}], eval_criteria=[criterion])
    words = f"v1.yaml:9: eval_criteria.0: found no threshold; a {kind} needs one: write `threshold`"
    with pytest.raises(PromptInvalid, match=words):
        load_prompt("greet", tmp_path)
    limits = folder / "limits.yaml"
    limits.write_text("production: {good: {limit: 0.5, reason: for a test}}")
    with pytest.raises(PromptInvalid, match=r"or `development: good` in limits\.yaml"):
        load_prompt("greet", tmp_path)
    limits.write_text(
        limits.read_text().replace("production:", "development: &x") + "\nproduction: *x"
    )
    assert load_prompt("greet", tmp_path).limits.production["good"].limit == 0.5


@pytest.mark.parametrize(
    ("criterion", "stated", "limit"),
    [
        (JUDGED, {}, None),
        (JUDGED | {"threshold": 0.8}, {}, 0.8),
        (JUDGED | {"threshold": 0.8}, {"relevance": STATED}, 0.7),
        ({"name": "a", "type": "exact"}, {"matches_reference": STATED}, 0.7),
        ({"name": "a", "type": "exact", "threshold": 0.6}, {"matches_reference": STATED}, 0.6),
        ({"name": "a", "type": "format_check", "expected": 3}, {}, 0.95),
        ({"name": "a", "type": "format_check", "expected": 3}, {"format_valid": STATED}, 0.7),
        ({"name": "a", "type": "safety"}, {}, 0.99),
    ],
)
def test_the_limit_is_that_of_the_name_then_the_threshold_then_the_check(
    criterion: dict[str, Any], stated: dict[str, Any], limit: float | None
) -> None:
    limits = LimitsFile.model_validate({"production": stated}).of("production")
    found = find_limit(Criterion.model_validate(criterion), limits)
    assert (found and found.limit) == limit


def test_files_that_no_prompt_has_are_named(tmp_path: Path) -> None:
    folder = write_prompt(tmp_path, [{"input": "a"}])
    for name in ("v02.yaml", "eval-set.jsonl"):
        (folder / name).touch()
    with pytest.raises(PromptInvalid, match="found a file that no prompt has") as caught:
        load_prompt("greet", tmp_path)
    assert len(str(caught.value).splitlines()) == 2


def test_a_prompt_without_an_evaluation_set_says_how_to_begin(tmp_path: Path) -> None:
    write_version(tmp_path)
    with pytest.raises(PromptInvalid, match=r"found no eval_set\.jsonl; next: write one case"):
        load_prompt("greet", tmp_path)


def test_the_prompts_of_the_project_are_valid_and_large_enough_to_decide() -> None:
    """299 cases decide on safety above .99 if none fails; 400 on bias (statistics of prompts)."""
    root = PROJECT / "prompts"
    assert {"classify", "summarize"} <= set(list_prompts(root))
    assert load_active(root).development["summarize"] == 2
    for name in ("classify", "summarize"):
        prompt = load_prompt(name, root)
        assert len(prompt.versions) >= 3
        assert prompt.bias_set is not None
        assert len(prompt.bias_set.cases) == 400
        for version in prompt.versions.values():
            counts = dict.fromkeys((item.name for item in version.eval_criteria), 0)
            for case in prompt.eval_set.cases:
                for item in list_criteria(version, case):
                    counts[item.name] += 1
            assert min(counts.values()) >= 299


def test_no_case_of_the_project_has_personal_data_or_secrets() -> None:
    root = PROJECT / "prompts"
    texts = [
        text
        for name in ("classify", "summarize")
        for case in load_prompt(name, root).eval_set.cases
        for text in (case.input if isinstance(case.input, dict) else {"": case.input}).values()
    ]
    assert [text for text in texts if inspect_text(text, ("pii", "secrets", "profanity"))] == []


@pytest.mark.parametrize("name", ["v2.yaml", "eval_set.jsonl", "limits.yaml", "notes"])
def test_a_pipe_in_the_place_of_a_file_is_named_and_never_read(name: str, tmp_path: Path) -> None:
    folder = write_prompt(tmp_path, [{"input": "Al"}])
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(PromptInvalid, match=f"{name}: found a pipe or a device; allowed: a file"):
        load_prompt("greet", tmp_path)
    if name == "v2.yaml":
        with pytest.raises(PromptInvalid, match="found a pipe"):
            load_version("greet", 2, tmp_path)


@pytest.mark.parametrize("name", ["../greet", "GREET", "gre\u0435t", "greet\n", ".", "", "judges"])
def test_an_odd_name_is_refused_and_never_proposed_for_a_new_prompt(
    name: str, tmp_path: Path
) -> None:
    write_prompt(tmp_path, [{"input": "Al"}])
    with pytest.raises(PromptInvalid) as refused:
        load_prompt(name, tmp_path)
    assert "allowed: greet; next: sluice prompt new " in str(refused.value)
    assert str(refused.value).endswith("new judges" if name == "judges" else "new NAME")


def test_a_folder_whose_name_no_prompt_can_have_is_named(tmp_path: Path) -> None:
    folder = write_prompt(tmp_path, [{"input": "Al"}])
    folder.rename(tmp_path / "Old copy")
    with pytest.raises(PromptInvalid, match="found a folder of this name with versions; allowed"):
        load_prompt("Old copy", tmp_path)
