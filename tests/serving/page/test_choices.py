"""A command is unavailable exactly where the state machine would refuse it."""

from dataclasses import replace
from pathlib import Path

import pytest

from serving.page.figures import list_choices
from sluice.adapters.control.store import open_control
from sluice.home import Home
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Action, Command, Phase, Verb
from sluice.rollout.state_machine import apply_command
from support.rollouts.counts import LAPTOP
from support.rollouts.store import StoredRollout


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RolloutRecord:
    control = open_control(Home(Path(tmp_path_factory.mktemp("chosen"))))
    control.prepare()
    rollout = StoredRollout(control, "town")
    rollout.tick_to(Phase.SHADOW)
    return rollout.record


@pytest.mark.parametrize("phase", list(Phase))
def test_each_phase_closes_what_the_state_machine_would_refuse(
    record: RolloutRecord, phase: Phase
) -> None:
    state = replace(record.state, phase=phase)
    for choice in list_choices(replace(record, state=state), ""):
        _, decision = apply_command(state, Command(Action(choice.action), "Ada", "x"), LAPTOP)
        refused = decision.verb is Verb.REFUSE
        if choice.action != Action.APPROVE:
            assert bool(choice.unavailable_reason) == refused, choice
        elif refused:
            assert choice.unavailable_reason


def test_approval_is_open_where_the_stage_requires_it_and_only_once(record: RolloutRecord) -> None:
    first = LAPTOP.stages[0].model_copy(update={"approve": True})
    policy = LAPTOP.model_copy(update={"stages": (first, *LAPTOP.stages[1:])})
    requiring = replace(record, policy=policy)
    approved = replace(requiring, state=replace(record.state, approved=True))

    def refuse(record: RolloutRecord) -> str:
        choices = {choice.action: choice for choice in list_choices(record, "")}
        return choices["approve"].unavailable_reason

    assert refuse(record) == "this stage requires no approval"
    assert refuse(requiring) == ""
    assert refuse(approved) == "this stage is approved already"
