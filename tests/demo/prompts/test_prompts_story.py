"""Each story of the demonstration of prompts, end to end, with the real local model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.prompts.stories import GOOD, LIVE, PROMPT, STORIES
from demo.prompts.world import write_configs, write_prompts
from sluice.adapters.control.store import open_control
from sluice.adapters.llm.local import find_local_weights
from sluice.adapters.registry.client import open_registry
from sluice.errors import ProviderRefused
from sluice.home import PROJECT, Home
from support.servers.images import add_registry_database

SECONDS = 600.0


def is_installed() -> bool:
    try:
        find_local_weights()
    except ProviderRefused:
        return False
    return True


pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.usefixtures("api"),
    pytest.mark.skipif(not is_installed(), reason="the local model: make local-llm"),
]


def play(name: str, folder: Path) -> tuple["subprocess.CompletedProcess[str]", Home]:
    """Play a story with the server of the tests; return how it ended, and its state folder."""
    home = add_registry_database(Home(folder))
    environment = {
        **os.environ,
        "SLUICE_HOME": str(home.root),
        "SLUICE_PROMPTS": str(write_prompts(folder / "prompts", name)),
        "SLUICE_CONFIGS": str(write_configs(folder / "configs", name)),
        "SLUICE_ENV": "development",
    }
    words = [sys.executable, "-m", "demo.prompts.play", name]
    ended = subprocess.run(
        words,
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return ended, home


def find_serving(home: Home) -> int | None:
    route = open_control(home).routes.find(PROMPT)
    return route.champion if route else None


def test_a_good_version_serves_and_a_regression_and_production_are_refused(tmp_path: Path) -> None:
    ended, home = play("regression", tmp_path)
    said = ended.stdout
    assert ended.returncode == 0, said + ended.stderr
    assert f"{PROMPT} v{GOOD} is published, and serves" in said
    assert "caught, as intended: PromptRegressed; v4 still serves" in said
    assert "ConfigInvalid: model 'smollm2-135m' may not answer in production" in said
    assert "tokens in" in said
    assert find_serving(home) == GOOD
    assert set(open_registry(home).list_published(PROMPT)) == {GOOD}
    pages = sorted((home.evaluations(PROMPT) / "answers").glob("*.html"))
    assert len(pages) == 2
    assert all(f"report: {page}" in said for page in pages)


def test_a_bad_first_version_is_refused_and_nothing_serves(tmp_path: Path) -> None:
    ended, home = play("bad", tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "PromptRegressed: format_valid" in ended.stdout
    assert "caught, as intended: PromptRegressed; no version serves" in ended.stdout
    assert find_serving(home) is None
    assert open_registry(home).list_published(PROMPT) == {}


def test_a_budget_that_ends_leaves_nothing_decided(tmp_path: Path) -> None:
    ended, home = play("budget", tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "the largest cost is above the budget" in ended.stdout
    assert "caught, as intended: EvidenceInsufficient; no version serves" in ended.stdout
    assert find_serving(home) is None


def test_an_edit_of_a_published_version_is_refused(tmp_path: Path) -> None:
    ended, home = play("edited", tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "PromptChanged: classify v4 was published as" in ended.stdout
    assert f"v{GOOD} still serves" in ended.stdout
    assert find_serving(home) == GOOD


def test_every_story_is_played_here() -> None:
    assert set(STORIES) - set(LIVE) == {"regression", "bad", "budget", "edited"}
