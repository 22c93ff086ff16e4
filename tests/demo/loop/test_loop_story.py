"""The loop end to end, on a server, a worker and a gateway of its own: by events alone."""

import re
import sys
from pathlib import Path

import pytest

from sluice.adapters.control.store import Control, open_control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.server.process_tree import find_related
from sluice.control.timeline import GAIN, RELEASE, TimelineEntry
from sluice.home import Home
from support.servers.forks import run_command

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SERVICE = "employment"
SECONDS = 1800.0
BETTER = re.compile(r"gain \+([\d.]+) \[\+([\d.]+), \+[\d.]+\], better")


def play(story: str, folder: Path) -> tuple[str, Control, Home]:
    """Play a story; return what the terminal showed, and the control store that it left."""
    environment = {"PATH": str(Path(sys.executable).parent), "SLUICE_HOME": str(folder)}
    done = run_command("cli", ["demo", "--loop", story], environment, SECONDS)
    home = Home(folder / "demo" / f"loop-{story}")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert find_related(home) == []
    return done.stdout, open_control(home), home


def serving(control: Control) -> tuple[int, int | None]:
    route = control.routes.find(SERVICE)
    assert route is not None
    return route.champion, route.candidate


def list_releases(control: Control) -> list[TimelineEntry]:
    return [item for item in control.timeline.list_entries(SERVICE) if item.action == RELEASE][::-1]


def test_a_change_of_concept_is_found_learnt_rolled_out_and_its_gain_measured(
    tmp_path: Path,
) -> None:
    shown, control, home = play("concept", tmp_path)
    assert serving(control) == (3, None)
    phases = [item.state.phase.value for item in control.rollouts.list_rollouts(SERVICE)]
    assert phases == ["done", "done"]
    champion = open_registry(home).find_alias(SERVICE, "champion")
    assert champion is not None
    assert champion.version == 3
    assert [item.version for item in list_releases(control)] == [1, 2, 3]
    windows = control.performance.list_last(SERVICE, 2, 50)
    dropped = [item.number for item in windows if item.event == "performance.dropped"]
    assert len(dropped) == 1
    assert dropped[0] <= 3
    entries = control.timeline.list_entries(SERVICE)
    (gain,) = [item for item in entries if (item.action, item.version) == (GAIN, 3)]
    found = BETTER.search(gain.message)
    assert found, gain.message
    assert float(found[2]) > 0
    assert gain.message in shown


@pytest.mark.stories
def test_a_worse_retrained_candidate_changes_nothing(tmp_path: Path) -> None:
    _, control, home = play("worse", tmp_path)
    assert serving(control) == (2, None)
    assert len(control.rollouts.list_rollouts(SERVICE)) == 1
    halted = list_releases(control)[2]
    assert halted.version is None
    assert "CandidateWorse" in halted.message
    champion = open_registry(home).find_alias(SERVICE, "champion")
    assert champion is not None
    assert champion.version == 2


@pytest.mark.stories
def test_a_shift_of_the_inputs_alone_is_reported_and_starts_nothing(tmp_path: Path) -> None:
    shown, control, _ = play("older", tmp_path)
    assert serving(control) == (1, None)
    assert "`retrain` has no `drift`" in shown
    assert len(list_releases(control)) == 1
    windows = control.performance.list_last(SERVICE, 1, 50)
    assert windows
    assert not any(item.dropped for item in windows)


@pytest.mark.stories
def test_a_shift_starts_one_release_where_the_service_says_so(tmp_path: Path) -> None:
    _, control, _ = play("older_retrain", tmp_path)
    first, second = list_releases(control)
    assert first.reason == "first data"
    assert second.reason.startswith("drift.detected")


@pytest.mark.stories
def test_the_estimate_follows_a_real_fall(tmp_path: Path) -> None:
    shown, control, _ = play("younger", tmp_path)
    assert serving(control) == (1, None)
    figures = re.search(r"auc: ([\d.]+) at the release, ([\d.]+) estimated, ([\d.]+) true", shown)
    assert figures, shown[-3000:]
    before, estimated, truth = map(float, figures.groups())
    assert truth < 0.95 * before
    assert abs(estimated - truth) < abs(before - truth) / 2
