"""What the terminal is told while a rollout is under way, and what becomes of one that holds."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from demo.watch import RolloutWatch, describe_evidence
from sluice.adapters.control.rollouts import CONTROLLER, Opening, Tick
from sluice.adapters.control.store import Control, open_control
from sluice.config.rollout import RouteConfig
from sluice.control.route import Route
from sluice.home import Home
from sluice.rollout.facts import Facts
from sluice.rollout.log import Derived, write_step
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Action, Phase, Rollout
from sluice.rollout.state_machine import step
from support.rollouts.counts import LAPTOP, begin, drive, run_to

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATIENCE = 60.0


def course_of(state: Rollout) -> RolloutRecord:
    return RolloutRecord("employment", 1, 1, 2, LAPTOP, RouteConfig(), "salt", state)


def test_line_has_stage_weight_block_and_evidence_beside_its_threshold() -> None:
    steps = [one.state for one in drive(run_to(Phase.CANARY), np.random.default_rng(1), 12)]
    said = describe_evidence(course_of(steps[-1]))
    assert said.startswith("canary at 5%, block 12: to go on, 3.0 each: error_margin ")
    assert said.endswith(" of 4.6")
    assert "; to stop: " in said


def test_what_is_near_its_threshold_is_named() -> None:
    steps = [one.state for one in drive(begin(), np.random.default_rng(1), 400, candidate=0.06)]
    worst = [state for state in steps if state.phase.is_staged][-1]
    assert "to stop: error_margin " in describe_evidence(course_of(worst))


@pytest.fixture
def control(tmp_path: Path) -> Control:
    """A store in which a rollout of v2 beside v1 is in shadow, and holds."""
    control = open_control(Home(tmp_path))
    control.prepare()
    control.routes.swap(None, Route("employment", 1))
    lease = control.leases.acquire("employment", CONTROLLER, "first", 15)
    opening = Opening("employment", 1, 2, LAPTOP, RouteConfig(), "salt")
    course = control.rollouts.open(lease, opening, NOW)
    for _ in range(2):
        state, decision = step(course.state, Facts(missing="no replica answers"), None, LAPTOP)
        derived = Derived(state, decision)
        record = write_step(course.tick, Facts(missing="no replica answers"), None, derived, LAPTOP)
        tick = Tick(replace(course, state=state), record, decision)
        course = control.rollouts.write(lease, course, tick, NOW)
    assert course.state.phase is Phase.HOLDING
    return control


def test_rollout_that_only_holds_is_ended_and_a_person_told_what_to_use(
    control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = time.monotonic() + PATIENCE
    with RolloutWatch(control, "employment", patience=0.5):
        while (given := control.commands.find_next("employment", 1)) is None:
            assert time.monotonic() < limit
            time.sleep(0.1)
    assert (given.action, given.by) == (Action.ABORT, "the story")
    assert given.why.startswith("it holds: ")
    assert "`sluice rollout-control`" in capsys.readouterr().out


def test_rollout_that_holds_for_less_goes_on(control: Control) -> None:
    with RolloutWatch(control, "employment", patience=PATIENCE):
        time.sleep(1.2)
    assert control.commands.find_next("employment", 1) is None
