"""Rollback, restore and commands to a rollout from a terminal, on real stores, without Prefect."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.adapters.control.store import Control, open_control
from sluice.adapters.registry.client import Registry, open_registry
from sluice.home import PROJECT, Home
from support.releases.runs import run_sluice
from support.rollouts.live import register_versions
from support.rollouts.store import StoredRollout
from support.servers.images import add_registry_database, make_once
from tasks.rollout.telling import EVENTS

pytestmark = pytest.mark.slow

SERVICE = "employment"
NOWHERE = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
WHO = ("--by", "Ada", "--reason", "errors")


def fill(root: Path) -> None:
    """Register three versions that passed their gates, and promote v3 in place of v1."""
    home = add_registry_database(Home(root))
    registry, control = open_registry(home), open_control(home)
    control.prepare()
    registry.prepare()
    register_versions(registry, SERVICE, 3)
    control.routes.follow_champion(SERVICE, 1)
    registry.promote(SERVICE)
    control.routes.follow_champion(SERVICE, 3)


@pytest.fixture
def served(tmp_path: Path) -> Home:
    """A state folder in which v3 serves, and v1 served before."""
    from support.servers.images import copy_home, note_origin

    def fill_and_note(root: Path) -> None:
        fill(root)
        note_origin(root)

    return copy_home(make_once("served", fill_and_note), tmp_path / "home")


def aliases(registry: Registry) -> dict[str, int]:
    names = ("champion", "candidate", "previous")
    found = {name: registry.find_alias(SERVICE, name) for name in names}
    return {name: item.version for name, item in found.items() if item}


def champion(control: Control) -> int:
    route = control.routes.find(SERVICE)
    assert route is not None
    return route.champion


def test_rollback_moves_route_then_aliases_and_says_where_it_came_from(served: Home) -> None:
    ended = run_sluice("rollback", SERVICE, *WHO, home=served.root, **NOWHERE)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [line for line in ended.stdout.splitlines() if not line.startswith("  ")] == [
        "employment: v1 is champion",
        "route     v1 serves (epoch 3)",
        "registry  the alias champion is at v1",
        "Prefect   its server is not there; the keeper tells it later",
    ]
    control = open_control(served)
    assert champion(control) == 1
    assert aliases(open_registry(served)) == {"champion": 1}
    told = run_sluice("history", SERVICE, "--json", home=served.root, **NOWHERE)
    newest = json.loads(told.stdout)[0]
    assert (newest["action"], newest["version"], newest["by"]) == ("rollback", 1, "Ada")
    assert (newest["reason"], newest["result"]) == ("errors", "v1 is champion")
    assert newest["origin"].startswith("terminal ")
    again = run_sluice("rollback", SERVICE, *WHO, home=served.root, **NOWHERE)
    assert again.returncode == 2
    assert "has no previous version; next: `sluice restore employment VERSION`" in again.stdout


ORDER = """
import sys
import cli.direct
from cli.__main__ import main
say = cli.direct.say

def tell(line):
    say(line)
    if line.startswith("route"):
        say("before: " + (", ".join({"mlflow", "prefect"} & {*sys.modules}) or "nothing heavy"))

cli.direct.say = tell
main()
"""


def test_the_route_moves_before_registry_or_prefect_are_even_imported(served: Home) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ORDER, "rollback", SERVICE, *WHO],
        cwd=PROJECT,
        env={**os.environ, **NOWHERE, "SLUICE_HOME": str(served.root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "before: nothing heavy" in ended.stdout


def test_a_rollback_works_while_the_registry_is_away_and_no_older_alias_undoes_it(
    served: Home,
) -> None:
    away = {**NOWHERE, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    ended = run_sluice("rollback", SERVICE, *WHO, home=served.root, **away)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "route     v1 serves" in ended.stdout
    assert "registry  its aliases do not follow yet: RegistryUnavailable" in ended.stdout or (
        "registry  its aliases do not follow yet: " in ended.stdout
    )
    control, registry = open_control(served), open_registry(served)
    assert aliases(registry)["champion"] == 3
    assert control.routes.follow_champion(SERVICE, 3).champion == 1
    shown = run_sluice("status", home=served.root, **NOWHERE)
    assert "the registry's aliases do not follow the rollback yet" in shown.stdout
    again = run_sluice("restore", SERVICE, "3", *WHO, home=served.root, **away)
    assert again.returncode == 0, "v3 has served, so it passed its gates"
    assert champion(control) == 3
    never = run_sluice("restore", SERVICE, "2", *WHO, home=served.root, **away)
    assert never.returncode == 3
    assert champion(control) == 3


def test_restore_takes_a_version_that_passed_its_gates_and_no_other(served: Home) -> None:
    registry = open_registry(served)
    registry.store.tag_version(SERVICE, 1, "sluice.verdict.data", "fail")
    bad = run_sluice("restore", SERVICE, "1", *WHO, home=served.root, **NOWHERE)
    assert bad.returncode == 2
    assert "PromotionRefused: employment v1: data fail; every verdict must be `pass`" in bad.stdout
    unknown = run_sluice("restore", SERVICE, "99", *WHO, home=served.root, **NOWHERE)
    assert "RolloutRefused: employment has no v99" in unknown.stdout
    control = open_control(served)
    assert champion(control) == 3
    assert control.admissions.list_exceptions(SERVICE) == []
    good = run_sluice("restore", SERVICE, "2", *WHO, home=served.root, **NOWHERE)
    assert good.returncode == 0, good.stdout
    assert champion(control) == 2
    assert aliases(registry) == {"champion": 2, "previous": 3}
    forced = run_sluice("restore", SERVICE, "1", "--force", *WHO, home=served.root, **NOWHERE)
    assert "v1 is champion, by an exception: employment v1: data fail" in forced.stdout
    assert champion(control) == 1
    [made] = control.admissions.list_exceptions(SERVICE)
    assert (made.version, made.by, made.reason) == (1, "Ada", "errors")
    [untold] = [item for item in control.moves.list_untold(SERVICE) if item.version == 1]
    assert (untold.action, EVENTS[untold.action]) == ("forced-restore", "rollout.forced")


def test_a_rollout_without_a_controller_is_rolled_back_from_the_terminal(served: Home) -> None:
    control = open_control(served)
    rollout = StoredRollout(control, SERVICE, (3, 2))
    rollout.tick()
    rollout.end()
    ended = run_sluice("rollback", SERVICE, *WHO, home=served.root, **NOWHERE)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith("employment: roll-back (Ada: errors)\nroute     v3 serves (")
    assert "no controller is at work" in ended.stdout
    refused = run_sluice("rollout-control", SERVICE, "pause", *WHO, home=served.root, **NOWHERE)
    assert refused.returncode == 2
    assert "CommandRefused: pause: the rollout is rolling back" in refused.stdout


def test_status_shows_what_serves_and_what_is_on_trial(served: Home) -> None:
    control = open_control(served)
    StoredRollout(control, SERVICE, (3, 2)).tick()
    shown = run_sluice("status", "--json", home=served.root, **NOWHERE)
    assert shown.returncode == 0, shown.stderr
    found = {item["service"]: item for item in json.loads(shown.stdout)["services"]}
    assert found["employment"]["serves"] == 3
    assert found["employment"]["since"]
    assert found["employment"]["previous"] == 1
    assert found["employment"]["rollout"]["version"] == 2
    assert found["employment"]["rollout"]["phase"] == "shadow"
    assert found["arrivals"]["serves"] is None
    plain = run_sluice("status", home=served.root, **NOWHERE).stdout
    assert " employment   v3 " in plain
    assert "http://127.0.0.1:9  does not answer" in plain
