"""The terminal's output during a rollout, and the abort of one that only holds."""

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
from sluice.rollout.state import Action, Phase, RolloutState
from sluice.rollout.state_machine import step
from support.rollouts.counts import LAPTOP, begin, drive, run_to

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATIENCE = 60.0


def record_of(state: RolloutState) -> RolloutRecord:
    return RolloutRecord("employment", 1, 1, 2, LAPTOP, RouteConfig(), "salt", state)


def test_line_has_stage_weight_block_and_evidence_beside_its_threshold() -> None:
    steps = [one.state for one in drive(run_to(Phase.CANARY), np.random.default_rng(1), 12)]
    output = describe_evidence(record_of(steps[-1]))
    assert output.startswith("canary at 5%, block 12: to advance, 3.0 each: error_margin ")
    assert output.endswith(" of 4.6")
    assert "; to stop: " in output


def test_what_is_near_its_threshold_is_named() -> None:
    steps = [one.state for one in drive(begin(), np.random.default_rng(1), 400, candidate=0.06)]
    worst = [state for state in steps if state.phase.is_staged][-1]
    assert "to stop: error_margin " in describe_evidence(record_of(worst))


@pytest.fixture
def control(tmp_path: Path) -> Control:
    """A store in which a rollout of v2 beside v1 is in shadow, and holds."""
    control = open_control(Home(tmp_path))
    control.prepare()
    control.routes.swap(None, Route("employment", 1))
    lease = control.leases.acquire("employment", CONTROLLER, "first", 15)
    opening = Opening("employment", 1, 2, LAPTOP, RouteConfig(), "salt")
    opened = control.rollouts.open(lease, opening, NOW)
    facts = Facts(missing="no replica answers")
    for _ in range(2):
        state, decision = step(opened.state, facts, None, LAPTOP)
        derived = Derived(state, decision)
        record = write_step(opened.tick, facts, None, derived, LAPTOP)
        tick = Tick(replace(opened, state=state), record, decision)
        opened = control.rollouts.write(lease, opened, tick, NOW)
    assert opened.state.phase is Phase.HOLDING
    return control


def test_rollout_that_only_holds_is_aborted_and_the_command_is_named(
    control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = time.monotonic() + PATIENCE
    with RolloutWatch(control, "employment", patience=0.5):
        while (given := control.commands.find_next("employment", 1)) is None:
            assert time.monotonic() < limit
            time.sleep(0.1)
    assert (given.action, given.by) == (Action.ABORT, "the demo")
    assert given.reason.startswith("it holds: ")
    assert "`sluice rollout-control`" in capsys.readouterr().out


def test_rollout_that_holds_for_less_is_not_aborted(control: Control) -> None:
    with RolloutWatch(control, "employment", patience=PATIENCE):
        time.sleep(1.2)
    assert control.commands.find_next("employment", 1) is None
