"""What `sluice prompt` prints, writes and refuses."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.prompts.results import find_report
from sluice.home import find_home
from sluice.prompts.evaluation.record import EvaluationRecord
from sluice.prompts.folder import load_prompt, load_version
from support.prompts import write_prompt, write_version
from support.releases.runs import run_sluice

CONFIGURATIONS = Path(__file__).parents[2] / "cases" / "promptfoo"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A folder of prompts with two versions of `greet`, the first one active."""
    root = tmp_path / "prompts"
    write_prompt(root, [{"input": "Al", "tags": ["men"]}, {"input": "Bea", "expected": "Hi"}])
    write_version(root, version=2, template="Say hello to {person}.", max_tokens=60)
    (root / "config.yaml").write_text("development: {greet: 1}\n")
    return root


@pytest.fixture
def sluice(tmp_path: Path) -> Run:
    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        folder = str(tmp_path / "prompts")
        return run_sluice("prompt", *words, home=tmp_path / "home", SLUICE_PROMPTS=folder)

    return run


def test_prompts_are_listed_with_their_versions_and_the_active_one(
    prompts: Path, sluice: Run
) -> None:
    ended = sluice("list")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    row = next(line for line in ended.stdout.splitlines() if "greet" in line)
    assert row.split() == ["greet", "1,", "2", "1", "-", "-", "2", "-"]
    assert "greet: v1 is wished, nothing serves" in " ".join(ended.stdout.split())


def test_show_has_the_texts_the_limits_and_the_cases(prompts: Path, sluice: Run) -> None:
    shown = sluice("show", "greet").stdout
    identity = load_version("greet", 1, prompts).identity
    assert f"greet v1  {identity[:12]}" in shown
    for words in ("Greet {person}.", "format_valid", "0.95", "2 cases (2 answers a version at 1"):
        assert words in shown
    assert "greet v2" in sluice("show", "greet", "--version", "2").stdout
    refused = sluice("show", "greet", "--version", "3")
    assert refused.returncode == 2
    assert "found no version 3; allowed: 1, 2" in refused.stdout


def test_diff_is_in_words_and_in_scores_where_both_were_evaluated(
    prompts: Path, sluice: Run, tmp_path: Path
) -> None:
    shown = sluice("diff", "greet", "1", "2").stdout
    assert "max_tokens: 50 -> 60" in shown
    assert "+ Say hello to {person}." in shown
    assert "no scores to compare: no evaluation of v1 and v2 as it is now" in shown
    folder = tmp_path / "home" / "prompts" / "greet" / "evaluations"
    folder.mkdir(parents=True)
    for number, value in ((1, 0.9), (2, 0.8)):
        record = EvaluationRecord(
            prompt="greet", version=number, environment="development", model="m", outcome="pass",
            identity=load_version("greet", number, prompts).identity, eval_set="s",
            ended="2026-01-01T00:00:00Z", criteria={"short": {"value": value, "cases": 2}},  # type: ignore[dict-item]
        )  # fmt: skip
        (folder / f"{number}.json").write_text(record.to_json())
    assert "-0.100" in sluice("diff", "greet", "1", "2").stdout


def test_new_copies_a_version_with_its_comments_or_begins_a_prompt(
    prompts: Path, sluice: Run
) -> None:
    path = prompts / "greet" / "v1.yaml"
    path.write_text(f"# why it is so\n{path.read_text()}")
    assert sluice("new", "greet", "--from", "1").returncode == 0
    written = (prompts / "greet" / "v3.yaml").read_text()
    assert written == path.read_text().replace("version: 1", "version: 3")
    assert load_version("greet", 3, prompts).template == "Greet {person}."
    begun = sluice("new", "coffee")
    assert begun.returncode == 0, begun.stdout
    assert list(load_prompt("coffee", prompts).versions) == [1]
    refused = sluice("new", "../coffee")
    assert refused.returncode == 2
    assert "found the name '../coffee'; allowed: a word of a-z" in refused.stdout


def test_import_writes_a_prompt_and_names_what_is_not_in_it(
    prompts: Path, sluice: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "Old Prompts"
    shutil.copytree(CONFIGURATIONS, folder)
    ended = sluice("import", str(folder / "pirate.yaml"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "not as it was: `outputPath` has no counterpart" in ended.stdout
    assert list(load_prompt("old-prompts", prompts).versions) == [1, 2]
    again = sluice("import", str(folder / "pirate.yaml"))
    assert again.returncode == 2
    assert "exists; next: take another name" in again.stdout
    assert sorted(path.name for path in prompts.iterdir()) == [
        "config.yaml",
        "greet",
        "old-prompts",
    ]


def test_a_wrong_file_ends_every_command_with_its_place(prompts: Path, sluice: Run) -> None:
    path = prompts / "greet" / "v1.yaml"
    path.write_text(path.read_text().replace("max_tokens", "max_token"))
    ended = sluice("list")
    assert ended.returncode == 2
    assert "PromptInvalid: " in ended.stdout
    assert "v1.yaml:5: max_token: unknown key (did you mean `max_tokens`?)" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_an_estimate_says_what_an_evaluation_would_take_and_asks_nobody(
    prompts: Path, sluice: Run, tmp_path: Path
) -> None:
    write_version(prompts, version=3, model="claude-haiku-4-5", repeats=2)
    ended = sluice("evaluate", "greet", "3", "--estimate")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    row = next(line.split() for line in ended.stdout.splitlines() if line.split()[:1] == ["v3"])
    assert row[1:3] == ["4", "0"]
    assert "greet v3: 4 calls, 0 of them kept from before" in ended.stdout
    assert "no reply of claude-haiku-4-5 is kept: its time is unknown" in ended.stdout
    assert not list((tmp_path / "home").rglob("replies"))


NOWHERE = "http://127.0.0.1:9/api"
KEYLESS = """
providers: {near: {kind: anthropic, url: "http://127.0.0.1:9", key: {env: KEY_OF_A_TEST}}}
models:
  claude-sonnet-4: {provider: near, id: claude-haiku-4-5, context: 9000, max_tokens: 900}
  old: {provider: near, id: old, context: 9000, max_tokens: 900, retires: 2020-01-01}
"""


@pytest.fixture
def keyless(prompts: Path, tmp_path: Path) -> Run:
    """Runs the command line where the provider of the prompts has no key."""
    (tmp_path / "configs" / "llm").mkdir(parents=True)
    (tmp_path / "configs" / "llm" / "providers.yaml").write_text(KEYLESS)
    places = {"SLUICE_PROMPTS": str(prompts), "SLUICE_CONFIGS": str(tmp_path / "configs")}

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return run_sluice(
            "prompt", *words, home=tmp_path / "home", PREFECT_API_URL=NOWHERE, **places
        )

    return run


def test_without_a_key_the_summary_says_what_was_checked_and_that_nothing_was_asked(
    keyless: Run, tmp_path: Path
) -> None:
    file = tmp_path / "verdict.md"
    ended = keyless("evaluate", "greet", "2", "--key-optional", "--summary", str(file))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    text = file.read_text()
    assert text.startswith(
        "## greet v2: not evaluated\n\nNo model was asked: provider 'near' needs"
    )
    for words in (
        "Next: put it there",
        "| format_valid | above 0.95 |",
        "2 cases, 1 answers each; no bias set",
        "    max_tokens: 50 -> 60",
    ):
        assert words in text
    assert text.rstrip() in ended.stdout
    assert not (tmp_path / "home").exists()


def test_without_a_number_the_wished_version_is_taken(
    keyless: Run, prompts: Path, tmp_path: Path
) -> None:
    assert "greet v1: not evaluated" in keyless("evaluate", "greet", "--key-optional").stdout
    (prompts / "config.yaml").write_text("production: {greet: 1}\n")
    ended = keyless("publish", "greet", "--key-optional")
    assert ended.returncode == 2
    assert "config.yaml: development: found no version of 'greet'; next: name one here" in (
        ended.stdout
    )


def test_an_optional_key_excuses_neither_a_retired_model_nor_a_wrong_file(
    keyless: Run, prompts: Path
) -> None:
    write_version(prompts, version=3, model="old")
    ended = keyless("evaluate", "greet", "3", "--key-optional")
    assert ended.returncode == 2, ended.stdout
    assert "ModelRetired: model 'old' was retired on 2020-01-01" in ended.stdout
    (prompts / "greet" / "eval_set.jsonl").write_text("{\n")
    ended = keyless("evaluate", "greet", "2", "--key-optional")
    assert ended.returncode == 2
    assert "PromptInvalid: " in ended.stdout


@pytest.mark.parametrize("file", [".", "nowhere/verdict.md"])
def test_a_summary_that_cannot_be_written_is_refused_before_anything_is_asked(
    keyless: Run, file: str
) -> None:
    ended = keyless("evaluate", "greet", "1", "--summary", file)
    assert ended.returncode == 2
    assert f"--summary: found '{file}'" in " ".join((ended.stdout + ended.stderr).split())


def test_a_broken_prompt_does_not_hide_the_others(prompts: Path, sluice: Run) -> None:
    for name in ("Old copy", ".draft"):
        shutil.copytree(prompts / "greet", prompts / name)
    ended = sluice("list")
    assert ended.returncode == 2
    assert "greet" in next(line for line in ended.stdout.splitlines() if "1, 2" in line)
    said = " ".join(ended.stdout.split())
    assert "Old copy: found a folder of this name with versions; allowed: a word of a-z" in said
    assert "draft" not in said.replace("put a dot", "")


def test_only_a_report_of_this_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ended early has no report: that of an earlier run would be read as its own."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    folder = find_home().evaluations("greet") / "answers"
    assert find_report("greet", 2, 1_000_000.0) is None
    folder.mkdir(parents=True)
    for name, written in (("v2-old", 999_990), ("v1-new", 1_000_005), ("v22-new", 1_000_005)):
        page = folder / f"{name}.html"
        page.write_text("")
        os.utime(page, (written, written))
    assert find_report("greet", 2, 1_000_000.0) is None
    page = folder / "v2-new.html"
    page.write_text("")
    os.utime(page, (1_000_003, 1_000_003))
    assert find_report("greet", 2, 1_000_000.0) == page
