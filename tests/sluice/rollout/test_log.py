"""The decision log derives every decision again, and says where it cannot."""

import json
from typing import Any

import numpy as np
import pytest

from sluice.rollout.facts import Facts
from sluice.rollout.log import Derived, LogBroken, derive, write_opening, write_step
from sluice.rollout.state import Action, Command, Phase, start
from sluice.rollout.state_machine import step
from support.rollouts.counts import LAPTOP, RATE, arm_of, facts_of


def write_log(candidate: float) -> list[dict[str, Any]]:
    rng = np.random.default_rng(21)
    before = [arm_of(RATE, int(rng.binomial(RATE, 0.01)), rng) for _ in range(20)]
    state = start(LAPTOP, before, 3)
    records = [write_opening(LAPTOP, before, 3)]
    for tick in range(1, 300):
        command = Command(Action.SKIP, "ada", "seen before") if tick == 15 else None
        facts = Facts() if command else facts_of(state, rng, candidate)
        state, decision = step(state, facts, command, LAPTOP)
        records.append(write_step(tick, facts, command, Derived(state, decision), LAPTOP))
        if state.phase.is_final:
            break
    lines = [json.dumps(record, allow_nan=False) for record in records]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("candidate", "end"), [(0.01, Phase.DONE), (0.2, Phase.ROLLED_BACK)])
def test_every_decision_follows_from_the_log_alone(candidate: float, end: Phase) -> None:
    records = write_log(candidate)
    derived = list(derive(records, LAPTOP))
    assert len(derived) == len(records) - 1
    assert derived[-1].state.phase is end


def test_a_changed_count_is_noticed() -> None:
    records = write_log(0.2)
    for record in records[1:]:
        if record["facts"]["candidate"]:
            record["facts"]["candidate"]["failures"] = 0.0
    with pytest.raises(LogBroken, match="follows"):
        list(derive(records, LAPTOP))


def test_a_gap_is_noticed() -> None:
    records = write_log(0.2)
    with pytest.raises(LogBroken, match="a gap or a double"):
        list(derive([*records[:2], *records[3:]], LAPTOP))


def test_another_policy_is_noticed() -> None:
    other = LAPTOP.model_copy(update={"pass_alpha": 0.01})
    with pytest.raises(LogBroken, match="of another policy"):
        list(derive(write_log(0.01), other))
