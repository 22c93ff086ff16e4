"""Every command in every phase, from its form in a browser: obeyed, or refused with the reason."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import yaml

from sluice.rollout.state import ALLOWED, Action, Phase
from support.gateway.replica import Behaviour, TrafficReplica
from support.releases.runs import run_sluice, write_rollout
from support.rollouts.beside import Beside, run_replica
from support.rollouts.live import Live, run_live
from support.rollouts.phases import (
    AFTER,
    ENDED_BY,
    OBEYED,
    RUNNING,
    give_ends,
    leave_at,
    name_value,
    say_refusal,
)
from support.servers.forms import Forms, open_forms
from support.servers.stack import (
    FILE,
    ask,
    await_answer,
    await_final,
    find_deployments,
    remove_all,
    run_worker,
)

pytestmark = pytest.mark.browser

SERVICE = "steered-by-form"
STEERING = ("rollout", "rollout-control", "rollback", "restore")
SECONDS = 90.0
REASON = {"reason": "a test", "by": "Ada"}


@dataclass(frozen=True)
class Stack:
    """A service, its deployments with a worker, and a browser on their forms."""

    live: Live
    replica: TrafficReplica
    forms: Forms
    deployments: dict[str, Any]

    def send(self, flow: str, choices: dict[str, str] | None = None, **words: str) -> UUID:
        chosen = {"service": SERVICE, **(choices or {})}
        return self.forms.send(self.deployments[flow], chosen, words)

    def command(self, action: Action) -> UUID:
        return self.send("rollout-control", {"action": action.value}, **REASON)

    def give(self, *actions: Action) -> dict[Action, UUID]:
        """Send a form for each command, and wait until all of them are in the control store."""
        commands = self.live.control.commands
        before = len(commands.list_commands(SERVICE))
        runs = {action: self.command(action) for action in actions}
        wanted = before + len(actions)
        taken_up = await_answer(lambda: len(commands.list_commands(SERVICE)) == wanted, SECONDS)
        assert taken_up, "the worker has not taken the forms up"
        return runs

    def end_of(self, run: UUID) -> tuple[str, str]:
        """Wait for a run's end; give its state's name and message."""
        state = await_final(ask(lambda client: client.read_flow_run(run)), SECONDS)
        assert state is not None
        return state.name, state.message or ""


@pytest.fixture(scope="module")
def live(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with run_live(tmp_path_factory.mktemp("forms"), SERVICE, versions=3) as live:
        yield live


@pytest.fixture(scope="module")
def stack_of_all(api: str, live: Live) -> Iterator[Stack]:
    root = live.home.root
    configs = root / "configs"
    write_rollout(configs, SERVICE, policy=live.policy, route={"assign_by": "request"})
    file = root / "deployments.yaml"
    entries = yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]
    chosen = [item for item in entries if item["name"] in STEERING]
    file.write_text(yaml.safe_dump({"deployments": chosen}), encoding="utf-8")
    with (
        run_replica(live.control, SERVICE) as replica,
        open_forms(api.removesuffix("/api"), os.environ["PREFECT_API_AUTH_STRING"]) as forms,
    ):
        variables = {"SLUICE_CONFIGS": str(configs), "SLUICE_GATEWAY_URLS": replica.address}
        try:
            told = run_sluice("deploy", "--file", str(file), home=root, **variables)
            assert told.returncode == 0, told.stdout + told.stderr
            found = {key.split("/")[1]: item for key, item in find_deployments().items()}
            with run_worker(root / "worker.log", SLUICE_HOME=str(root), **variables):
                yield Stack(live, replica, forms, found)
        finally:
            remove_all()


@pytest.fixture
def stack(stack_of_all: Stack) -> Stack:
    stack_of_all.live.reset()
    stack_of_all.replica.behaviour = Behaviour(rate=20.0)
    return stack_of_all


def test_before_any_other_version_served_a_rollback_is_refused(stack: Stack) -> None:
    words = f"RolloutRefused: {SERVICE} has no previous version"
    assert stack.end_of(stack.send("rollback", **REASON))[1].startswith(words)


def end_rollout(live: Live) -> None:
    """End the rollout, unless the command did: without a controller it is applied at once."""
    if live.find_rollout() is not None:
        give_ends(live)
        live.roll(resume=True)


@pytest.mark.parametrize(("phase", "action"), OBEYED, ids=name_value)
def test_a_command_is_obeyed_where_it_makes_sense(
    stack: Stack, phase: Phase, action: Action
) -> None:
    live = stack.live
    left = leave_at(live, phase)
    run = stack.give(action)[action]
    assert stack.end_of(run)[0] == "Completed"
    end_rollout(live)
    record = live.check_log(left.number)[left.tick]
    assert (record["decision"], record["command"]["action"]) == ("obey", action.value)
    assert record["phase"] == AFTER.get(action, phase).value


@pytest.mark.parametrize("phase", RUNNING, ids=name_value)
def test_others_are_refused_with_the_reason_on_the_page(stack: Stack, phase: Phase) -> None:
    live = stack.live
    left = leave_at(live, phase)
    runs = stack.give(*(action for action in Action if phase not in ALLOWED[action]))
    for action, run in runs.items():
        words = f"CommandRefused: {say_refusal(phase, action)}"
        assert stack.end_of(run) == ("Failed", words)
        assert words in stack.forms.read_run(run, words)
    end_rollout(live)
    records = live.check_log(left.number)[left.tick : left.tick + len(runs)]
    assert [record["decision"] for record in records] == ["refuse"] * len(runs)
    assert {record["phase"] for record in records} <= {phase.value}


@pytest.mark.parametrize("phase", sorted(ENDED_BY), ids=name_value)
def test_after_its_end_every_command_is_refused(stack: Stack, phase: Phase) -> None:
    live = stack.live
    beside = Beside(live.roll)
    live.await_phase("shadow")
    live.give(ENDED_BY[phase].value)
    beside.end()
    assert live.control.rollouts.list_rollouts(SERVICE)[-1].state.phase is phase
    runs = {action: stack.command(action) for action in Action}
    for action, run in runs.items():
        words = f"CommandRefused: {action}: no rollout of {SERVICE} is under way"
        name, message = stack.end_of(run)
        assert (name, message.startswith(words)) == ("Failed", True), message


def test_a_rollout_of_the_champion_or_of_no_version_is_refused(stack: Stack) -> None:
    runs = {version: stack.send("rollout", version=version) for version in ("1", "9")}
    for version, words in (("1", "v1 is champion already; a rollout needs"), ("9", "has no v9")):
        name, message = stack.end_of(runs[version])
        assert name == "Failed"
        assert message.startswith("RolloutRefused: "), message
        assert words in message
    assert stack.live.find_rollout() is None


def test_two_rollouts_begin_from_their_forms_one_after_the_other(stack: Stack) -> None:
    live = stack.live
    first = stack.send("rollout", version="2")
    live.await_phase("shadow")
    second = stack.send("rollout", version="3")
    refused = stack.send("restore", version="1", **REASON)
    told = f"RolloutRefused: {SERVICE}: a rollout of v2 is under way"
    assert stack.end_of(refused)[1].startswith(told)
    assert stack.end_of(stack.send("rollback", **REASON))[0] == "Completed"
    assert stack.end_of(first)[1].startswith("RolloutRolledBack: ")
    live.await_rollout(lambda rollout: rollout.candidate == 3 and rollout.state.phase == "shadow")
    assert stack.end_of(stack.command(Action.PROMOTE))[0] == "Completed"
    assert stack.end_of(second)[0] == "Completed"
    assert live.aliases() == {"champion": 3, "previous": 1}


def test_rollback_and_restore_from_their_forms(stack: Stack) -> None:
    live = stack.live
    assert stack.end_of(stack.send("restore", version="3", **REASON))[0] == "Completed"
    assert (live.aliases()["champion"], live.aliases()["previous"]) == (3, 1)
    assert stack.end_of(stack.send("rollback", **REASON))[0] == "Completed"
    assert live.aliases()["champion"] == 1
    missing = stack.send("restore", version="9", **REASON)
    assert stack.end_of(missing) == ("Failed", f"RolloutRefused: {SERVICE} has no v9")


def test_form_without_a_reason_is_not_taken(stack: Stack) -> None:
    chosen = {"service": SERVICE, "action": "pause"}
    told = stack.forms.refuse(stack.deployments["rollout-control"], chosen, {"by": "Ada"})
    assert "reason" in told
