"""What each phase means, and a state that was stored and read decides like one that was not."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sluice.config.policy import hash_policy, read_policy, write_policy
from sluice.config.rollout import RouteConfig
from sluice.rollout.log import Derived, write_step
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Phase, RolloutState, read_state, write_state
from sluice.rollout.state_machine import step
from support.rollouts.counts import LAPTOP, begin, drive, facts_of, run_to


def pass_through(state: RolloutState) -> RolloutState:
    """Write a state as strict JSON and read it back."""
    return read_state(json.loads(json.dumps(write_state(state), allow_nan=False)), LAPTOP)


def follow(state: RolloutState, kept: bool, ticks: int) -> list[dict[str, Any]]:
    """Return the records of so many ticks; with `kept`, the state is stored after each tick."""
    rng, records = np.random.default_rng(3), []
    for tick in range(1, ticks):
        if state.phase.is_final:
            break
        facts = facts_of(state, rng)
        state, decision = step(state, facts, None, LAPTOP)
        derived = Derived(state, decision)
        records.append(write_step(tick, facts, None, derived, LAPTOP))
        state = pass_through(state) if kept else state
    return records


def test_a_rollout_that_is_kept_after_each_tick_decides_the_same() -> None:
    kept, never = (follow(begin(), each, 300) for each in (True, False))
    assert kept == never
    assert {record["phase"] for record in kept} >= {"shadow", "canary", "soak"}


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.CANARY, Phase.SOAK, Phase.DONE])
def test_every_figure_comes_back_exactly(phase: Phase) -> None:
    state = begin() if phase is Phase.PENDING else run_to(phase)
    assert write_state(pass_through(state)) == write_state(state)


def test_a_state_that_stopped_is_read_back_with_its_reason() -> None:
    steps = drive(begin(), np.random.default_rng(5), ticks=400, candidate=0.3)
    last = list(steps)[-1].state
    assert pass_through(last).reason == last.reason
    assert pass_through(last).phase is Phase.ROLLED_BACK


def test_a_policy_that_is_written_and_read_is_the_same() -> None:
    assert read_policy(write_policy(LAPTOP)) == LAPTOP
    assert hash_policy(read_policy(write_policy(LAPTOP))) == hash_policy(LAPTOP)


CANARY = run_to(Phase.CANARY)
STAGED = {Phase.SHADOW, Phase.CANARY, Phase.HOLDING, Phase.FROZEN, Phase.PAUSED}
FINAL = {Phase.DONE, Phase.ROLLED_BACK, Phase.ABORTED}


@pytest.mark.parametrize("phase", list(Phase))
def test_a_phase_is_staged_or_final_or_neither(phase: Phase) -> None:
    assert (phase.is_staged, phase.is_final) == (phase in STAGED, phase in FINAL)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_record_says_which_version_serves_and_whether_the_candidate_failed(phase: Phase) -> None:
    state = replace(CANARY, phase=phase)
    record = RolloutRecord("employment", 1, 3, 4, LAPTOP, RouteConfig(), "salt", state)
    assert record.is_serving is (phase in (Phase.SOAK, Phase.DONE))
    assert record.is_beaten is (phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK))


@pytest.mark.parametrize("phase", list(Phase))
def test_the_candidate_has_its_weight_only_where_it_may_serve(phase: Phase) -> None:
    weight = replace(CANARY, phase=phase).weight(LAPTOP)
    if phase in (Phase.SOAK, Phase.DONE):
        assert weight == 1.0
    else:
        assert weight == (0.05 if phase in STAGED - {Phase.FROZEN} else 0.0)


@pytest.mark.parametrize("phase", list(Phase))
def test_the_lease_is_renewed_until_the_end_or_the_third_missed_tick(phase: Phase) -> None:
    renewed = [replace(CANARY, phase=phase, missed_ticks=n).renews for n in range(5)]
    assert renewed == ([False] * 5 if phase in FINAL else [True, True, True, False, False])
