"""The stories of the demonstration of prompts on live traffic, end to end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.prompts.live.provider import SimulatedModel
from demo.prompts.live.tickets import find_team, write_live
from demo.prompts.live.world import ADDED, FIRST, INSTRUCTIONS, REPLY, SECOND, read_cases
from demo.prompts.stories import CLEAN, LIVE
from demo.prompts.world import write_configs, write_prompts
from sluice.adapters.control.store import open_control
from sluice.config.llm.loading import load_language_serving
from sluice.config.loading import load_policy
from sluice.home import PROJECT, Home
from sluice.prompts.folder import load_prompt
from support.servers.images import add_registry_database

SECONDS = 600.0
CAUGHT = {
    "unsafe": "as intended: v2 is rolled back: guardrail",
    "dear": "as intended: v2 is rolled back: roll-back (Ada Lovelace",
    "silent": "caught, as intended: a provider that changes its model",
}


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("name", LIVE)
def test_a_fault_that_shows_on_live_inputs_only_is_found(name: str, tmp_path: Path) -> None:
    home = add_registry_database(Home(tmp_path / "home"))
    environment = {
        **os.environ,
        "SLUICE_HOME": str(home.root),
        "SLUICE_PROMPTS": str(write_prompts(tmp_path / "prompts", name)),
        "SLUICE_CONFIGS": str(write_configs(tmp_path / "configs", name)),
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
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert CAUGHT[name] in ended.stdout
    assert "errors at callers: 0" in ended.stdout
    route = open_control(home).routes.find(REPLY)
    assert route is not None
    assert (route.champion, route.candidate) == (FIRST, None)


@pytest.mark.parametrize("story", ["", "unsafe", "dear"])
def test_on_the_cases_of_the_gates_both_versions_answer_alike(story: str, tmp_path: Path) -> None:
    cases = read_cases(write_prompts(tmp_path, story or CLEAN))
    model, second = SimulatedModel(), f"{INSTRUCTIONS} {ADDED[story]}"
    assert [model.answer(second, one) for one in cases] == [
        model.answer(INSTRUCTIONS, one) for one in cases
    ]
    live = write_live(cases, 200, 1)
    differs = [model.answer(second, one) != model.answer(INSTRUCTIONS, one) for one in live]
    assert any(differs) is bool(story)


def test_a_changed_model_fails_on_the_cases_themselves(tmp_path: Path) -> None:
    cases = read_cases(write_prompts(tmp_path, "silent"))
    model = SimulatedModel()
    model.is_changed = True
    assert sum("sorry" in model.answer(INSTRUCTIONS, one) for one in cases) > len(cases) / 10
    assert {find_team(one) for one in cases} >= {"billing", "delivery"}


def test_its_world_is_valid(tmp_path: Path) -> None:
    root = write_prompts(tmp_path / "prompts", "unsafe")
    configs = write_configs(tmp_path / "configs", "unsafe")
    found = load_prompt(REPLY, root)
    assert set(found.versions) == {FIRST, SECOND}
    rollout = load_language_serving(configs).of(REPLY).rollout
    assert rollout is not None
    assert load_policy(rollout.policy, configs).stages[0].weight == 0
