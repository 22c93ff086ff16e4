"""Every decision is derived again from the decision log, also from one of an earlier version."""

import json
from typing import Any

import numpy as np
import pytest

from sluice.config.policy import Policy
from sluice.home import PROJECT
from sluice.rollout.facts import Facts
from sluice.rollout.log import (
    Derived,
    LogBroken,
    derive,
    read_record,
    reword_reason,
    write_opening,
    write_step,
)
from sluice.rollout.state import Action, Command, Phase, Verb, read_state, start, write_state
from sluice.rollout.state_machine import step
from support.rollouts.counts import LAPTOP, RATE, arm_of, facts_of

EARLIER = json.loads(
    (PROJECT / "tests/sluice/rollout/logs_before_renaming.json").read_text(encoding="utf-8")
)
"""Logs and a state that a version wrote which said `go on` for advance, and `why` for reason."""
SHORT = Policy.model_validate_json(json.dumps(EARLIER["policy"]), strict=True)


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
    with pytest.raises(LogBroken, match="a tick is missing or there twice"):
        list(derive([*records[:2], *records[3:]], LAPTOP))


def test_another_policy_is_noticed() -> None:
    other = LAPTOP.model_copy(update={"pass_alpha": 0.01})
    with pytest.raises(LogBroken, match="of another policy"):
        list(derive(write_log(0.01), other))


@pytest.mark.parametrize(
    ("name", "end", "verb"),
    [
        ("promoted", Phase.DONE, Verb.ADVANCE),
        ("rolled back at max", Phase.ROLLED_BACK, Verb.ROLL_BACK),
        ("rolled back by the breaker", Phase.ROLLED_BACK, Verb.ROLL_BACK),
    ],
)
def test_every_decision_of_an_earlier_versions_log_is_derived(
    name: str, end: Phase, verb: Verb
) -> None:
    records = EARLIER["logs"][name]
    derived = list(derive(records, SHORT))
    assert len(derived) == len(records) - 1
    assert derived[-1].state.phase is end
    assert verb in {item.decision.verb for item in derived}


def test_an_earlier_versions_record_is_read_with_todays_names() -> None:
    earlier = EARLIER["logs"]["promoted"]
    read = [read_record(record) for record in earlier]
    advanced = [now for now, then in zip(read, earlier, strict=True) if then != now]
    assert {record["decision"] for record in advanced} == {"advance", "obey", "refuse"}
    paused = next(record["command"] for record in read[1:] if record["command"])
    assert paused == {"action": "resume", "by": "Ada", "reason": "why not"}
    assert [read_record(record) for record in read] == read


def test_a_changed_reason_of_an_earlier_versions_log_is_noticed() -> None:
    records = [dict(record) for record in EARLIER["logs"]["rolled back at max"]]
    records[-1]["reason"] = records[-1]["reason"].replace("4 blocks", "5 blocks")
    with pytest.raises(LogBroken, match="follows"):
        list(derive(records, SHORT))


def test_a_reason_in_todays_words_is_not_reworded() -> None:
    for record in write_log(0.01)[1:]:
        assert reword_reason(record["reason"]) == record["reason"]


def test_an_earlier_versions_state_is_read() -> None:
    stored = EARLIER["state"]
    derived = list(derive(EARLIER["logs"][stored["log"]], SHORT))
    read = read_state(stored["values"], SHORT)
    assert write_state(read) == write_state(derived[stored["tick"] - 1].state)
