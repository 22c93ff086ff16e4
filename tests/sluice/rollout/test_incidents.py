"""When a rollout freezes, thaws or rolls back on the circuit breakers' evidence alone."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from sluice.rollout.breaker import THRESHOLD
from sluice.rollout.state import Phase, RolloutState, Verb
from sluice.rollout.state_machine import step
from support.rollouts.counts import LAPTOP, facts_of, run_to

FROZEN = replace(run_to(Phase.CANARY), phase=Phase.FROZEN, reason="both fail")


def step_with(
    state: RolloutState, tripped: bool, alarm: float, seen: bool = True
) -> tuple[RolloutState, Verb]:
    facts = facts_of(state, np.random.default_rng(6))
    facts = replace(facts, tripped=tripped, champion_alarm=alarm)
    after, decision = step(state, facts if seen else replace(facts, champion=None), None, LAPTOP)
    return after, decision.verb


@pytest.mark.parametrize(
    ("tripped", "alarm", "phase", "verb"),
    [
        (False, THRESHOLD, Phase.FROZEN, Verb.FREEZE),
        (False, THRESHOLD - 1e-6, Phase.CANARY, Verb.HOLD),
        (False, nan, Phase.CANARY, Verb.HOLD),
        (True, 0.0, Phase.FROZEN, Verb.FREEZE),
        (True, nan, Phase.FROZEN, Verb.FREEZE),
        (True, -1e-6, Phase.ROLLING_BACK, Verb.ROLL_BACK),
        (True, -inf, Phase.ROLLING_BACK, Verb.ROLL_BACK),
    ],
)
def test_the_champions_evidence_decides_whose_incident_it_is(
    tripped: bool, alarm: float, phase: Phase, verb: Verb
) -> None:
    state = run_to(Phase.CANARY)
    after, found = step_with(state, tripped, alarm)
    assert (after.phase, found) == (phase, verb)
    assert after.epoch == state.epoch + (phase is not Phase.CANARY)


@pytest.mark.parametrize(
    ("tripped", "alarm", "seen", "phase", "verb"),
    [
        (False, -1e-6, True, Phase.HOLDING, Verb.THAW),
        (False, -1e-6, False, Phase.FROZEN, Verb.HOLD),
        (False, 0.0, True, Phase.FROZEN, Verb.HOLD),
        (False, nan, True, Phase.FROZEN, Verb.HOLD),
        (True, 0.0, True, Phase.FROZEN, Verb.HOLD),
        (True, -1e-6, True, Phase.ROLLING_BACK, Verb.ROLL_BACK),
    ],
)
def test_a_frozen_rollout_thaws_when_the_champion_is_known_to_be_healthy(
    tripped: bool, alarm: float, seen: bool, phase: Phase, verb: Verb
) -> None:
    after, found = step_with(FROZEN, tripped, alarm, seen)
    assert (after.phase, found) == (phase, verb)
    assert after.epoch == FROZEN.epoch + (phase is not Phase.FROZEN)
