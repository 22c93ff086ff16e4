"""Decisions are derived again from the log, an earlier one too, and each test has its evidence."""

import json
from math import log
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
    describe_tests,
    read_record,
    reword_reason,
    write_opening,
    write_step,
)
from sluice.rollout.rules import list_rules
from sluice.rollout.state import (
    Action,
    Command,
    Phase,
    RolloutState,
    Verb,
    read_state,
    start,
    write_state,
)
from sluice.rollout.state_machine import step
from support.rollouts.counts import LAPTOP, RATE, arm_of, begin, drive, facts_of

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


def shorten(values: Any) -> Any:
    """Round every number to 12 digits: the last ones differ between processors."""
    match values:
        case float():
            return float(f"{values:.12g}")
        case dict():
            return {name: shorten(value) for name, value in values.items()}
        case list() | tuple():
            return [shorten(value) for value in values]
    return values


def test_an_earlier_versions_state_is_read() -> None:
    stored = EARLIER["state"]
    derived = list(derive(EARLIER["logs"][stored["log"]], SHORT))
    read = read_state(stored["values"], SHORT)
    again = derived[stored["tick"] - 1].state
    assert shorten(write_state(read)) == shorten(write_state(again))


STARTS_AT = 11
"""Half of the shadow's twenty blocks, and one: the pass tests begin there."""
UNSEEN = ("feedback", "cost")
"""Rules of which the traffic has no figure: their tests never begin."""


def states_of(policy: Policy = LAPTOP) -> list[RolloutState]:
    """Give a healthy rollout's states up to the last one of its shadow."""
    found: list[RolloutState] = []
    for item in drive(begin(), np.random.default_rng(0), ticks=400):
        if item.state.phase is not Phase.SHADOW:
            return found
        found.append(item.state)
    raise AssertionError("the shadow never ended")


def test_every_rule_is_described_by_its_wealth_rate_and_limit() -> None:
    state = states_of()[-1]
    found = describe_tests(state, LAPTOP)
    assert list(found) == [rule.name for rule in list_rules(LAPTOP)]
    for rule in list_rules(LAPTOP):
        item = state.observation.evidence[rule.name]
        rate = float(item.history.rate)
        assert found[rule.name] == {
            "wealth": pytest.approx(float(item.rollback.log_wealth)),
            "threshold": rule.threshold,
            "rate": pytest.approx(rate),
            "limit": pytest.approx(rule.boundary.ratio * rate + rule.boundary.margin),
            "pass": None if rule.name in UNSEEN else pytest.approx(float(item.passing.log_value)),
        }
    margin = found["error_margin"]
    assert margin["threshold"] == pytest.approx(log(100))
    assert margin["rate"] == pytest.approx(0.01, abs=0.005)
    assert margin["limit"] == pytest.approx((margin["rate"] or 0.0) + 0.02)


def test_a_pass_test_has_no_evidence_before_it_begins() -> None:
    for state in states_of():
        passing = describe_tests(state, LAPTOP)["error_margin"]["pass"]
        assert (passing is None) == (state.observation.blocks < STARTS_AT)


def test_the_evidence_that_lets_a_stage_pass_is_in_the_log() -> None:
    """It grows while nothing differs."""
    states = states_of()
    found = [describe_tests(state, LAPTOP)["error_margin"]["pass"] or 0.0 for state in states]
    assert found[-1] > found[STARTS_AT] > 0
