"""A button is closed exactly where the machine would refuse, or where nothing was asked."""

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
def course(tmp_path_factory: pytest.TempPathFactory) -> RolloutRecord:
    control = open_control(Home(Path(tmp_path_factory.mktemp("chosen"))))
    control.prepare()
    rollout = StoredRollout(control, "town")
    rollout.tick_to(Phase.SHADOW)
    return rollout.course


@pytest.mark.parametrize("phase", list(Phase))
def test_each_phase_closes_what_the_machine_would_refuse(
    course: RolloutRecord, phase: Phase
) -> None:
    state = replace(course.state, phase=phase)
    for choice in list_choices(replace(course, state=state), ""):
        _, decision = apply_command(state, Command(Action(choice.action), "Ada", "x"), LAPTOP)
        refused = decision.verb is Verb.REFUSE
        if choice.action != Action.APPROVE:
            assert bool(choice.why_not) == refused, choice
        elif refused:
            assert choice.why_not


def test_approval_is_open_where_the_stage_asks_and_only_once(course: RolloutRecord) -> None:
    first = LAPTOP.stages[0].model_copy(update={"approve": True})
    policy = LAPTOP.model_copy(update={"stages": (first, *LAPTOP.stages[1:])})
    asking = replace(course, policy=policy)
    given = replace(asking, state=replace(course.state, approved=True))

    def why_not(course: RolloutRecord) -> str:
        return next(one.why_not for one in list_choices(course, "") if one.action == "approve")

    assert why_not(course) == "this stage asks for no approval"
    assert why_not(asking) == ""
    assert why_not(given) == "this stage is approved already"
